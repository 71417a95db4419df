//! Packet headers as anybody may send them.

use warren::wire::packet::{Header, MAX_HOPS, advance, write_header};

/// What parses is the header that it says, and moves on by one hop.
pub fn run(input: &[u8]) {
    let Ok(header) = Header::parse(input) else {
        return;
    };
    let (len, count) = (header.header_len(), header.count());
    assert!(len <= input.len() && (1..=MAX_HOPS).contains(&count));
    assert_eq!(header.back().len(), header.index() + 1);
    check_written(&header);
    check_way_back(&header);
    if header.next().is_some() {
        let mut packet = input.to_vec();
        advance(&mut packet, 7);
        let moved = Header::parse(&packet).expect("an advanced header parses");
        assert_eq!(moved.token(), 7);
        assert_eq!(Some(moved.here()), header.next());
        assert_eq!(moved.previous(), header.here());
        assert_eq!(packet[len..], input[len..]);
    }
}

/// Apart from its index it is what our own writer makes.
fn check_written(header: &Header<'_>) {
    let hops: Vec<_> = (0..header.count()).map(|at| header.hop(at)).collect();
    let (kind, token, source) = (header.packet_type(), header.token(), header.source());
    let mut written = Vec::new();
    write_header(&mut written, kind, token, source, &hops);
    written[1] = header.index() as u8;
    assert_eq!(written, header.as_bytes());
}

/// A packet along the reverse came the way that this one goes.
fn check_way_back(header: &Header<'_>) {
    let back = header.reverse();
    assert_eq!(back.len(), header.count());
    assert!(header.is_reverse_of(&back));
    let mut answer = Vec::new();
    let destination = header.destination();
    write_header(&mut answer, header.packet_type(), 0, destination, &back);
    let answer = Header::parse(&answer).expect("a reverse path has no loop");
    assert_eq!(answer.destination(), header.source());
}
