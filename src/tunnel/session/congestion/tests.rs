use super::*;

fn controller(congestion: Congestion) -> (Arc<Signals>, Box<dyn Controller>) {
    let signals = Arc::new(Signals::default());
    let factory = Factory::new(congestion, signals.clone());
    (signals, factory.build(Instant::now(), 1_200))
}

#[test]
fn a_full_window_has_room_for_a_kick_and_not_for_more() {
    for congestion in [Congestion::Bbr, Congestion::Cubic] {
        let (signals, mut controller) = controller(congestion);
        let window = controller.window();
        controller.on_sent(Instant::now(), window, 1);
        assert_eq!(signals.in_flight(), window);
        signals.make_room();
        assert_eq!(controller.window(), window + 4 * 1_200);
        controller.on_sent(Instant::now(), 4 * 1_200, 2);
        assert_eq!(controller.window(), signals.in_flight());
        signals.take_room();
        assert_eq!(controller.window(), window);
    }
}

#[test]
fn losses_of_a_doubted_path_are_one_loss_to_cubic_and_none_to_bbr() {
    let lose = |congestion: Congestion, doubted: bool| {
        let (signals, mut controller) = controller(congestion);
        if doubted {
            signals.make_room();
        }
        let now = Instant::now();
        controller.on_congestion_event(now, now, true, 12_000);
        signals.take_room();
        controller.window()
    };
    assert!(lose(Congestion::Cubic, true) > lose(Congestion::Cubic, false));
    assert_eq!(lose(Congestion::Bbr, true), 12_000);
}

#[test]
fn acknowledgements_tell_what_is_in_flight() {
    let (signals, mut controller) = controller(Congestion::Bbr);
    controller.on_sent(Instant::now(), 5_000, 1);
    controller.on_end_acks(Instant::now(), 1_500, false, Some(1));
    assert_eq!(signals.in_flight(), 1_500);
}
