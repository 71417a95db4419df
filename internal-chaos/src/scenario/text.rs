//! What stands in a scenario as one text or number: bounds, targets, one name or several.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde::{Serialize, Serializer};

/// How many of something there may be: `0` is exactly none; `at least 1`; `at most 3`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    pub least: u64,
    pub most: u64,
}

impl Bound {
    pub fn allows(self, count: u64) -> bool {
        (self.least..=self.most).contains(&count)
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.least, self.most) {
            (least, u64::MAX) => write!(f, "at least {least}"),
            (least, most) if least == most => write!(f, "{most}"),
            (0, most) => write!(f, "at most {most}"),
            (least, most) => write!(f, "{least} to {most}"),
        }
    }
}

impl FromStr for Bound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("`{text}` is no bound; write a number, `at least 1`, `at most 3` or `1 to 3`")
        };
        let number = |text: &str| text.trim().parse::<u64>().map_err(|_| wrong());
        let bound = if let Some(least) = text.strip_prefix("at least ") {
            (number(least)?, u64::MAX)
        } else if let Some(most) = text.strip_prefix("at most ") {
            (0, number(most)?)
        } else if let Some((least, most)) = text.split_once(" to ") {
            (number(least)?, number(most)?)
        } else {
            (number(text)?, number(text)?)
        };
        let (least, most) = bound;
        if least > most {
            return Err(wrong());
        }
        Ok(Self { least, most })
    }
}

impl<'de> Deserialize<'de> for Bound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A number and a text are both read as text.
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

impl Serialize for Bound {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One text, or a list of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts(pub Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;

        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Texts, E> {
                Ok(Texts(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Texts, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element()? {
                    texts.push(text);
                }
                Ok(Texts(texts))
            }
        }

        deserializer.deserialize_any(OneOrMore)
    }
}

/// What a fault of links names: an agent (all its links), a link, or one direction of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    One(&'a str),
    Both(&'a str, &'a str),
    Way { from: &'a str, to: &'a str },
}

impl<'a> Place<'a> {
    /// `a`, `a <-> b` or `a -> b`.
    pub(super) fn of(text: &'a str) -> Self {
        if let Some((one, other)) = text.split_once("<->") {
            Self::Both(one.trim(), other.trim())
        } else if let Some((from, to)) = text.split_once("->") {
            Self::Way {
                from: from.trim(),
                to: to.trim(),
            }
        } else {
            Self::One(text.trim())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_print_as_they_are_written() {
        for text in ["0", "7", "at least 1", "at most 3", "2 to 5"] {
            assert_eq!(text.parse::<Bound>().unwrap().to_string(), text);
        }
        for wrong in ["", "few", "at least", "5 to 2", "-1"] {
            assert!(wrong.parse::<Bound>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn bounds_hold_at_their_ends() {
        let bound: Bound = "2 to 5".parse().unwrap();
        let allowed: Vec<u64> = (0..9).filter(|count| bound.allows(*count)).collect();
        assert_eq!(allowed, [2, 3, 4, 5]);
    }

    #[test]
    fn places_are_agents_links_and_directions() {
        assert_eq!(Place::of("transit-a"), Place::One("transit-a"));
        assert_eq!(Place::of("a <-> b"), Place::Both("a", "b"));
        let way = Place::Way {
            from: "a-1",
            to: "b",
        };
        assert_eq!(Place::of("a-1 -> b"), way);
    }
}
