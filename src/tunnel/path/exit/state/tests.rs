use super::*;

const MS: Duration = Duration::from_millis(1);

#[test]
fn the_whole_transition_table() {
    let since = Instant::now();
    let now = since + 250 * MS;
    let (trusted, told) = (State::Trusted, State::PeerDoubts { since });
    let (doubts, agreed) = (State::Doubts { since }, State::Agreed { since });
    let began = State::Doubts { since: now };
    let heard = State::PeerDoubts { since: now };
    let crossed = Input::PeerTrusts { crossing: 251 * MS };
    let answers = Input::PeerTrusts { crossing: 250 * MS };
    let (heeded, ignored) = (
        Input::PeerDoubts { heeded: true },
        Input::PeerDoubts { heeded: false },
    );
    #[rustfmt::skip]
    let rows = [
        (Input::Doubt,     [began,   told,    doubts,  agreed]),
        (heeded,           [heard,   told,    agreed,  agreed]),
        (ignored,          [trusted, told,    agreed,  agreed]),
        (crossed,          [trusted, trusted, doubts,  trusted]),
        (answers,          [trusted, trusted, trusted, trusted]),
        (Input::Overdrawn, [trusted, trusted, trusted, trusted]),
    ];
    for (input, row) in rows {
        for (state, expected) in [trusted, told, doubts, agreed].into_iter().zip(row) {
            assert_eq!(state.after(now, input), expected, "{state:?} on {input:?}");
        }
    }
}
