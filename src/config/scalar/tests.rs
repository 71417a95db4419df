use proptest::prelude::*;

use super::*;

#[test]
fn durations_need_a_unit() {
    for (text, millis) in [
        ("0ms", 0),
        ("500ms", 500),
        ("30s", 30_000),
        ("5m", 300_000),
        ("1h", 3_600_000),
    ] {
        assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
    }
    for text in [
        "",
        "30",
        "s",
        "1.5s",
        "-1s",
        "+1s",
        " 1s",
        "1 s",
        "1S",
        "1d",
        "99999999999999999999s",
        "18446744073709551615h",
    ] {
        let error = duration(text).unwrap_err();
        assert!(error.contains("30s"), "{text:?}: {error}");
    }
}

#[test]
fn sizes_are_bytes_or_binary_units() {
    for (text, bytes) in [
        ("0", 0),
        ("4096", 4096),
        ("64KiB", 65_536),
        ("2MiB", 2 << 20),
        ("1GiB", 1 << 30),
    ] {
        assert_eq!(size(text), Ok(bytes), "{text}");
    }
    for text in ["", "KiB", "64KB", "64k", "1.5MiB", "-1", "99999999999GiB"] {
        assert!(size(text).is_err(), "{text:?}");
    }
}

#[test]
fn listen_addresses_are_literal() {
    for (text, address) in [
        ("127.0.0.1:1080", "127.0.0.1:1080"),
        (":4433", "0.0.0.0:4433"),
        (":0", "0.0.0.0:0"),
        ("localhost:8080", "127.0.0.1:8080"),
        ("[::]:4433", "[::]:4433"),
        ("[::1]:0", "[::1]:0"),
    ] {
        assert_eq!(listen_address(text), Ok(address.parse().unwrap()), "{text}");
    }
    for text in [
        "",
        ":",
        "4433",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:+1",
        "::1",
        "::1:4433",
        "[::1]",
        "[127.0.0.1]:1",
        "example.com:1",
        "0.0.0.0.0:1",
    ] {
        assert!(listen_address(text).is_err(), "{text:?}");
    }
}

#[test]
fn dial_addresses_may_be_names() {
    for (text, host, port) in [
        ("example.com:4433", "example.com", 4433),
        (
            "exit-a.region-a.internal:4433",
            "exit-a.region-a.internal",
            4433,
        ),
        ("localhost:1", "localhost", 1),
        ("10.0.0.1:4433", "10.0.0.1", 4433),
        ("[2001:db8::1]:4433", "2001:db8::1", 4433),
    ] {
        let address = dial_address(text).unwrap();
        assert_eq!((address.host.as_str(), address.port), (host, port));
        assert_eq!(address.to_string(), text);
    }
    for text in [
        "",
        ":4433",
        "example.com",
        "example.com:0",
        "2001:db8::1:4433",
        "a b:1",
        "*.example.com:1",
        "256.1.1.1:1",
        "http://example.com:1",
    ] {
        assert!(dial_address(text).is_err(), "{text:?}");
    }
}

#[test]
fn dns_servers_default_to_port_53() {
    for (text, address) in [
        ("10.0.0.1", "10.0.0.1:53"),
        ("10.0.0.1:5353", "10.0.0.1:5353"),
        ("::1", "[::1]:53"),
        ("[::1]", "[::1]:53"),
        ("[::1]:5353", "[::1]:5353"),
    ] {
        assert_eq!(dns_server(text), Ok(address.parse().unwrap()), "{text}");
    }
    for text in ["", "dns.example.com", "10.0.0.1:0", ":53"] {
        assert!(dns_server(text).is_err(), "{text:?}");
    }
}

#[test]
fn prefixes_have_no_host_bits() {
    for text in [
        "0.0.0.0/0",
        "10.0.0.0/8",
        "10.1.2.3/32",
        "::/0",
        "2001:db8::/32",
        "::1/128",
    ] {
        assert_eq!(
            prefix(text).map(|prefix| prefix.to_string()),
            Ok(text.to_owned())
        );
    }
    for (text, hint) in [
        ("10.0.0.1/8", "did you mean 10.0.0.0/8?"),
        ("2001:db8::1/32", "did you mean 2001:db8::/32?"),
        ("10.0.0.1", "did you mean 10.0.0.1/32?"),
        ("::1", "did you mean ::1/128?"),
        ("::ffff:10.0.0.0/104", "did you mean 10.0.0.0/8?"),
        ("10.0.0.0/33", "write CIDR"),
        ("example.com", "write CIDR"),
    ] {
        let error = prefix(text).unwrap_err();
        assert!(error.contains(hint), "{text}: {error}");
    }
}

#[test]
fn password_hashes_are_complete_hashes() {
    let argon2 =
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$PP4FvHGrMcdMfYcCkYN4ZQBzRXrFTgNBwjpuNvQ9fSo";
    let bcrypt = "$2b$04$WUHhXETkX0fnYkrqZU3ta.N8Utt4U77kW4RVbchzgvBvBBEEdCD/u";
    for hash in [argon2, bcrypt] {
        assert_eq!(password_hash(hash), Ok(PasswordHash::inline(hash)));
    }
    for text in [
        "",
        "correct horse",
        "$argon2id$",
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ",
        "$2b$04$short",
        "$2b$04$äöüXETkX0fnYkrqZU3ta.N8Utt4U77kW4RVbchzgvBvBBEEdCD/u",
        "$1$salt$hash",
        "$6$rounds=5000$salt$hash",
        "$argon2id$v=19$m=7,t=2,p=1$c29tZXNhbHQ$PP4FvHGrMcdMfYcCkYN4ZQBzRXrFTgNBwjpuNvQ9fSo",
        "$argon2id$v=19$m=4294967295,t=2,p=1$c29tZXNhbHQ$PP4FvHGrMcdMfYcCkYN4ZQBzRXrFTgNBwjpuNvQ9fSo",
        "$2b$31$WUHhXETkX0fnYkrqZU3ta.N8Utt4U77kW4RVbchzgvBvBBEEdCD/u",
    ] {
        let error = password_hash(text).unwrap_err();
        assert!(error.contains("warren hash"), "{error}");
        assert!(
            text.is_empty() || !error.contains(text),
            "the value is a secret: {error}"
        );
    }
}

#[test]
fn quoted_text_stays_on_one_short_line() {
    assert_eq!(quote("a\nb"), "`a\\nb`");
    assert_eq!(quote(r#"C:\"x""#), r#"`C:\"x"`"#);
    assert_eq!(quote(&"x".repeat(500)).chars().count(), 83);
}

proptest! {
    #[test]
    fn durations_survive_a_round_trip(millis in 0..u64::MAX / 2) {
        let exact = Duration::from_millis(millis);
        prop_assert_eq!(duration(&show_duration(exact)), Ok(exact));
    }

    #[test]
    fn round_durations_survive_a_round_trip(count in 0_u64..100_000, unit in prop::sample::select(vec![1_u64, 1_000, 60_000, 3_600_000])) {
        let exact = Duration::from_millis(count * unit);
        prop_assert_eq!(duration(&show_duration(exact)), Ok(exact));
    }

    #[test]
    fn sizes_survive_a_round_trip(count in 0_usize..1 << 20, shift in prop::sample::select(vec![0, 10, 20, 30])) {
        let bytes = count << shift;
        prop_assert_eq!(size(&show_size(bytes)), Ok(bytes));
    }

    #[test]
    fn no_text_makes_a_scalar_panic(text in ".{0,60}") {
        let _ = (duration(&text), size(&text), listen_address(&text), dial_address(&text));
        let _ = (dns_server(&text), prefix(&text), domain(&text), agent_id(&text));
        let _ = password_hash(&text);
    }

    #[test]
    fn no_hash_like_text_panics(head in r"\$(2[aby]|argon2(id|i|d))\$", tail in ".{0,70}") {
        let _ = password_hash(&format!("{head}{tail}"));
    }
}

#[test]
fn what_may_be_a_secret_is_not_repeated() {
    for (text, repeated) in [
        ("user:pw@host", "`***@host`"),
        ("https://user:pw@host:443", "`***@host:443`"),
        ("https://host/?token=pw", "`https://host/?***`"),
        ("https://user:pw@host/?token=pw", "`***@host/?***`"),
        ("a@pw@host", "`***@host`"),
        ("pw@", "`***@`"),
        ("host?", "`host?`"),
        ("10.0.0.0/8", "`10.0.0.0/8`"),
    ] {
        assert_eq!(quote(text), repeated);
    }
    for error in [
        dial_address("https://u:secret@h:443").unwrap_err(),
        dial_address("u:secret@h").unwrap_err(),
        dial_address("secret@h:443").unwrap_err(),
        listen_address("u:secret@127.0.0.1").unwrap_err(),
        dns_server("u:secret@h").unwrap_err(),
        prefix("secret@10.0.0.0/8").unwrap_err(),
        domain("secret@corp.example").unwrap_err(),
    ] {
        assert!(!error.contains("secret"), "{error}");
    }
}
