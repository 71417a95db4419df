//! The commands of a running `internal-chaos relay`: one line in, one line of JSON out.
//!
//! | line | effect |
//! |---|---|
//! | `condition NAME` | both directions become this named condition |
//! | `set WAYS JSON` | `to-server`, `to-client` or `both` become these figures, the rest clear |
//! | `cut WAYS` | nothing passes |
//! | `heal` | both directions clear, all rules gone |
//! | `rebind` | every client gets another outward port |
//! | `rule JSON` | adds a rule; the answer has its number |
//! | `remove N` | removes the rule with this number |
//! | `show` | the figures of both directions |
//! | `counters` | what became of all packets so far |
//! | `quit` | ends the relay |

use std::str::FromStr;

use serde_json::{Value, json};

use super::Relay;
use crate::condition::Condition;
use crate::impairment::Impairment;
use crate::packet::{Direction, Ways};
use crate::rules::{Rule, RuleId};

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    Condition(Condition),
    Set(Ways, Impairment),
    Cut(Ways),
    Heal,
    Rebind,
    Rule(Rule),
    Remove(RuleId),
    Show,
    Counters,
    Quit,
}

/// A line that is none of the commands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    #[error(
        "unknown command `{0}`; known are condition, set, cut, heal, rebind, rule, remove, show, \
         counters, quit"
    )]
    Unknown(String),
    #[error("{command}: {reason}")]
    Argument {
        command: &'static str,
        reason: String,
    },
}

impl FromStr for Command {
    type Err = CommandError;

    fn from_str(line: &str) -> Result<Self, CommandError> {
        let (word, rest) = split(line);
        match word {
            "condition" => argument("condition", rest).map(Self::Condition),
            "set" => {
                let (ways, figures) = split(rest);
                let figures = json_argument("set", figures)?;
                Ok(Self::Set(argument("set", ways)?, figures))
            }
            "cut" => argument("cut", rest).map(Self::Cut),
            "rule" => json_argument("rule", rest).map(Self::Rule),
            "remove" => argument("remove", rest).map(Self::Remove),
            "heal" => Ok(Self::Heal),
            "rebind" => Ok(Self::Rebind),
            "show" => Ok(Self::Show),
            "counters" => Ok(Self::Counters),
            "quit" => Ok(Self::Quit),
            _ => Err(CommandError::Unknown(word.to_owned())),
        }
    }
}

impl Relay {
    /// Does what a command says. `Quit` is the caller's to do.
    pub fn execute(&self, command: Command) -> Value {
        match command {
            Command::Condition(condition) => self.apply(&condition),
            Command::Set(ways, impairment) => self.set(ways, impairment),
            Command::Cut(ways) => self.set(ways, Impairment::CUT),
            Command::Heal => self.heal(),
            Command::Remove(id) => self.remove_rule(id),
            Command::Quit => {}
            Command::Rebind => {
                if let Err(error) = self.rebind() {
                    return refusal(&format!("cannot change the ports: {error}"));
                }
            }
            Command::Rule(rule) => return json!({ "rule": self.rule(rule).keep() }),
            Command::Counters => return json!(self.counters()),
            Command::Show => {
                let shown = |direction| self.impairment(direction);
                return json!({
                    "to_server": shown(Direction::ToServer),
                    "to_client": shown(Direction::ToClient),
                });
            }
        }
        json!({ "ok": true })
    }
}

/// The answer to a line that could not be done.
pub fn refusal(reason: &str) -> Value {
    json!({ "error": reason })
}

/// The first word, and what follows.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim())
}

fn argument<T: FromStr<Err: ToString>>(
    command: &'static str,
    text: &str,
) -> Result<T, CommandError> {
    text.parse()
        .map_err(|error: T::Err| CommandError::Argument {
            command,
            reason: error.to_string(),
        })
}

fn json_argument<T: serde::de::DeserializeOwned>(
    command: &'static str,
    text: &str,
) -> Result<T, CommandError> {
    serde_json::from_str(text).map_err(|error| CommandError::Argument {
        command,
        reason: error.to_string(),
    })
}
