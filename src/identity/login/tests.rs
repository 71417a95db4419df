use argon2::password_hash::{PasswordHasher, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};

use super::*;
use crate::clock;

const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

/// An argon2id hash of so many passes over 8 KiB.
fn argon2(password: &str, passes: u32) -> String {
    let params = Params::new(Params::MIN_M_COST, passes, 1, None).unwrap();
    let salt = SaltString::encode_b64(b"salt of a test").unwrap();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password(password.as_bytes(), &salt)
        .unwrap()
        .to_string()
}

fn login<const N: usize>(users: [(&str, String); N]) -> Login {
    Login::new("test", users, Checks::new(2, 16))
}

#[tokio::test]
async fn only_the_right_password_of_a_known_user_verifies() {
    let ben = bcrypt::hash("geheim", 4).unwrap();
    let login = login([("anna", argon2("secret", 1)), ("ben", ben)]);
    for round in 0..2 {
        for (n, (name, secret, expected)) in [
            ("anna", "secret", Verdict::Valid),
            ("anna", "Secret", Verdict::Wrong),
            ("ben", "geheim", Verdict::Valid),
            ("ben", "secret", Verdict::Wrong),
            ("carl", "secret", Verdict::Wrong),
            ("carl", "geheim", Verdict::Wrong),
            ("", "", Verdict::Wrong),
        ]
        .into_iter()
        .enumerate()
        {
            let source = IpAddr::from([192, 0, 2, n as u8]);
            let verdict = login
                .verify(source, name.as_bytes(), secret.as_bytes().to_vec())
                .await;
            assert_eq!(verdict, expected, "{name}, round {round}");
        }
    }
    assert_eq!(login.verified.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn what_verified_once_is_let_in_whatever_the_guessers_do() {
    let login = login([("anna", argon2("secret", 1))]);
    let verify = |secret: &str| login.verify(HOME, b"anna", secret.as_bytes().to_vec());
    assert_eq!(verify("secret").await, Verdict::Valid);
    for _ in 0..attempts::BURST {
        assert_eq!(verify("guess").await, Verdict::Wrong);
    }
    assert_eq!(verify("guess").await, Verdict::TooOften);
    assert_eq!(verify("secret").await, Verdict::Valid);
    let elsewhere = IpAddr::from([192, 0, 2, 2]);
    let guess = login.verify(elsewhere, b"anna", b"guess".to_vec());
    assert_eq!(guess.await, Verdict::Wrong);
}

#[tokio::test]
async fn without_names_nobody_verifies() {
    let login = login([]);
    let verdict = login.verify(HOME, b"anna", b"secret".to_vec());
    assert_eq!(verdict.await, Verdict::Wrong);
}

#[test]
fn an_unknown_name_costs_what_the_costliest_known_one_does() {
    let (cheap, costly) = (argon2("a", 1), argon2("b", 60));
    let bcrypt = bcrypt::hash("c", 5).unwrap();
    for users in [
        [("anna", cheap.clone()), ("ben", costly.clone())],
        [("ben", costly.clone()), ("anna", cheap.clone())],
    ] {
        assert_eq!(login(users).decoy.as_deref(), Some(costly.as_str()));
    }
    let mixed = login([("anna", costly), ("carl", bcrypt.clone())]);
    assert_eq!(mixed.decoy.as_deref(), Some(bcrypt.as_str()));
}

#[tokio::test]
async fn a_cheap_hash_does_not_tell_that_its_name_exists() {
    let dear = bcrypt::hash("geheim", 8).unwrap();
    let login = login([("anna", argon2("secret", 1)), ("ben", dear)]);
    let took = async |name: &[u8]| {
        let before = clock::now();
        let verdict = login.verify(HOME, name, b"guess".to_vec()).await;
        assert_eq!(verdict, Verdict::Wrong);
        clock::since(before)
    };
    took(b"nobody").await;
    let slowest = Duration::from_micros(login.slowest.load(Ordering::Relaxed));
    assert!(took(b"anna").await >= slowest);
}

#[test]
fn a_login_prints_no_hash() {
    let login = login([("anna", argon2("secret", 1))]);
    assert!(!format!("{login:?}").contains("argon2"));
}
