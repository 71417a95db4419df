//! Answers, for as long as their servers say that they hold.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

use hickory_proto::rr::Name;

use super::message::{Answer, Family};
use crate::clock;

/// Most names and families that are kept: some hundred bytes each.
const MAX_ANSWERS: usize = 8_192;

/// Answers by question.
#[derive(Debug, Default)]
pub(super) struct Cache {
    answers: Mutex<BTreeMap<(Name, bool), (Instant, Answer)>>,
}

impl Cache {
    pub(super) fn get(&self, name: &Name, family: Family) -> Option<Answer> {
        let answers = self.lock();
        let (until, answer) = answers.get(&key(name, family))?;
        (clock::now() < *until).then(|| answer.clone())
    }

    /// Keeps `answer`, and makes room for it if it must: what is over first, then whatever comes.
    pub(super) fn insert(&self, name: &Name, family: Family, answer: &Answer) {
        if answer.ttl.is_zero() {
            return;
        }
        let now = clock::now();
        let mut answers = self.lock();
        if answers.len() >= MAX_ANSWERS {
            answers.retain(|_, (until, _)| now < *until);
        }
        if answers.len() >= MAX_ANSWERS {
            answers.pop_first();
        }
        answers.insert(key(name, family), (now + answer.ttl, answer.clone()));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(Name, bool), (Instant, Answer)>> {
        self.answers.lock().expect("no panic while locked")
    }
}

/// Names compare without case.
fn key(name: &Name, family: Family) -> (Name, bool) {
    (name.clone(), family == Family::V6)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::names::name::absolute;

    fn answer(ip: [u8; 4], ttl: u64) -> Answer {
        Answer {
            addresses: vec![ip.into()],
            exists: true,
            next: None,
            ttl: Duration::from_secs(ttl),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_kept_for_its_time() {
        let cache = Cache::default();
        let name = absolute("A.example").unwrap();
        let same = absolute("a.EXAMPLE").unwrap();
        cache.insert(&name, Family::V4, &answer([192, 0, 2, 1], 2));
        tokio::time::advance(Duration::from_millis(1_999)).await;
        assert!(cache.get(&same, Family::V4).is_some());
        assert!(cache.get(&same, Family::V6).is_none());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(cache.get(&same, Family::V4).is_none());
        cache.insert(&name, Family::V4, &answer([192, 0, 2, 1], 0));
        assert!(cache.get(&same, Family::V4).is_none());
    }

    #[tokio::test]
    async fn it_has_an_end() {
        let cache = Cache::default();
        for number in 0..MAX_ANSWERS + 10 {
            let name = absolute(&format!("n{number}.example")).unwrap();
            cache.insert(&name, Family::V4, &answer([192, 0, 2, 1], 60));
        }
        assert_eq!(cache.lock().len(), MAX_ANSWERS);
    }
}
