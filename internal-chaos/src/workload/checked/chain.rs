//! The records of a chained stream, and the checker that proves what arrived to be an exact prefix
//! of what was sent.
//!
//! ```text
//!  record  length u32, big endian │ payload, 1 to 65,536 bytes │ tag, 8 bytes
//!  end     length 0               │                            │ tag
//! ```
//!
//! The payload is the pattern of [`super::super::pattern`], which the checker knows: it compares every
//! byte, also inside a record that was cut. The pattern repeats itself, the chain does not: a tag is
//! mixed from the tag before it and the length, the first one before from the stream's seed. So a
//! record can neither be left out, nor repeated, inserted or moved, nor come from another stream.

use bytes::{Buf, buf};

use crate::workload::pattern::{self, CHUNK, splitmix};

/// The largest payload of a record.
pub const LARGEST: usize = 64 * 1024;

const _: () = assert!(LARGEST <= CHUNK, "a payload is one slice of the pattern");

/// Bytes of a tag: 64 bits do not collide by accident.
const TAG: usize = 8;

type Tag = [u8; TAG];

/// Makes the records of a stream.
#[derive(Debug)]
pub struct Chain {
    seed: u64,
    bytes: u64,
    tag: Tag,
}

/// One record, ready to be sent.
#[derive(Debug)]
pub struct Record {
    pub length: [u8; 4],
    pub payload: &'static [u8],
    pub tag: Tag,
}

/// What is wrong with a stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    #[error("byte {offset} is {actual:#04x}, not {expected:#04x}")]
    Byte {
        offset: u64,
        expected: u8,
        actual: u8,
    },
    #[error("a record at byte {offset} claims {length} bytes")]
    Length { offset: u64, length: u32 },
    #[error("the record at byte {offset} is not the one that belongs there")]
    Tag { offset: u64 },
    #[error("data continues after the end, at byte {offset}")]
    Trailing { offset: u64 },
}

/// Checks a stream as it arrives, in pieces of any size.
#[derive(Debug)]
pub struct Checker {
    chain: Chain,
    state: State,
}

#[derive(Debug)]
enum State {
    Length {
        bytes: [u8; 4],
        have: usize,
    },
    /// Inside a payload.
    Payload {
        record: Record,
        have: usize,
    },
    /// `length` data bytes wait for their proof.
    Tag {
        expected: Tag,
        length: usize,
        bytes: Tag,
        have: usize,
    },
    End,
    /// An error was found; nothing behind it counts.
    Wrong,
}

impl Record {
    /// The record as it goes over the wire.
    pub fn wire(&self) -> impl Buf {
        let payload: buf::Chain<&[u8], &[u8]> = self.length[..].chain(self.payload);
        payload.chain(&self.tag[..])
    }
}

impl State {
    const START: Self = Self::Length {
        bytes: [0; 4],
        have: 0,
    };
}

impl Chain {
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            bytes: 0,
            tag: mix([0; TAG], seed),
        }
    }

    /// Data bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next record, of `length` data bytes: at least 1, at most [`LARGEST`].
    pub fn record(&mut self, length: usize) -> Record {
        self.link(length.clamp(1, LARGEST))
    }

    /// The end of the stream.
    pub fn end(mut self) -> Record {
        self.link(0)
    }

    fn link(&mut self, length: usize) -> Record {
        let payload = pattern::slice(self.seed, self.bytes, length as u64);
        let length = u32::try_from(length).expect("records are short");
        self.tag = mix(self.tag, length.into());
        let length = length.to_be_bytes();
        self.bytes += payload.len() as u64;
        Record {
            length,
            payload,
            tag: self.tag,
        }
    }
}

impl Checker {
    pub fn new(seed: u64) -> Self {
        Self {
            chain: Chain::new(seed),
            state: State::START,
        }
    }

    /// Data bytes that are an exact prefix of what was sent. A record whose tag is still to come
    /// counts byte by byte; one whose tag is wrong does not count.
    pub fn exact(&self) -> u64 {
        let proven = self.chain.bytes;
        match &self.state {
            State::Payload { record, have } => proven - (record.payload.len() - have) as u64,
            _ => proven,
        }
    }

    /// Whether the closing record has arrived.
    pub fn is_complete(&self) -> bool {
        matches!(self.state, State::End)
    }

    /// Whether the last record has arrived whole, and the next one has not begun.
    pub fn is_between_records(&self) -> bool {
        matches!(self.state, State::Length { have: 0, .. })
    }

    /// Bytes that belong to the stream for certain: reading no more never reads beyond its end.
    pub fn wanted(&self) -> usize {
        match &self.state {
            State::Length { bytes, have } => bytes.len() - have,
            State::Payload { record, have } => record.payload.len() - have,
            State::Tag { have, .. } => TAG - have,
            State::End | State::Wrong => 1,
        }
    }

    /// Takes the next bytes off the wire. After an error the stream is beyond judging.
    pub fn feed(&mut self, mut input: &[u8]) -> Result<(), ChainError> {
        while !input.is_empty() {
            let taken = self
                .step(input)
                .inspect_err(|_| self.state = State::Wrong)?;
            input = &input[taken..];
        }
        Ok(())
    }

    /// Takes what belongs to the current part; returns how much that was.
    fn step(&mut self, input: &[u8]) -> Result<usize, ChainError> {
        let offset = self.exact();
        match &mut self.state {
            State::Length { bytes, have } => {
                let taken = fill(bytes, have, input);
                if *have == bytes.len() {
                    let length = u32::from_be_bytes(*bytes);
                    self.state = self.expect(offset, length)?;
                }
                Ok(taken)
            }
            State::Payload { record, have } => {
                let expected = &record.payload[*have..];
                let taken = expected.len().min(input.len());
                if expected[..taken] != input[..taken] {
                    let mut pairs = expected.iter().zip(input);
                    let at = pairs.position(|(one, two)| one != two);
                    let at = at.expect("unequal slices of one length differ somewhere");
                    let error = ChainError::Byte {
                        offset: offset + at as u64,
                        expected: expected[at],
                        actual: input[at],
                    };
                    self.chain.bytes = offset + at as u64;
                    return Err(error);
                }
                *have += taken;
                if *have == record.payload.len() {
                    self.state = await_tag(record);
                }
                Ok(taken)
            }
            State::Tag {
                expected,
                length,
                bytes,
                have,
            } => {
                let taken = fill(bytes, have, input);
                if *have < TAG {
                    return Ok(taken);
                }
                if bytes != expected {
                    self.chain.bytes -= *length as u64;
                    let offset = self.chain.bytes;
                    return Err(ChainError::Tag { offset });
                }
                self.state = match length {
                    0 => State::End,
                    _ => State::START,
                };
                Ok(taken)
            }
            State::End | State::Wrong => Err(ChainError::Trailing { offset }),
        }
    }

    /// What must follow a length.
    fn expect(&mut self, offset: u64, length: u32) -> Result<State, ChainError> {
        let bytes = length as usize;
        if bytes > LARGEST {
            return Err(ChainError::Length { offset, length });
        }
        let record = self.chain.link(bytes);
        Ok(match bytes {
            0 => await_tag(&record),
            _ => State::Payload { record, have: 0 },
        })
    }
}

fn await_tag(record: &Record) -> State {
    State::Tag {
        expected: record.tag,
        length: record.payload.len(),
        bytes: [0; TAG],
        have: 0,
    }
}

/// Fills the rest of `bytes`; returns how much of the input that took.
fn fill(bytes: &mut [u8], have: &mut usize, input: &[u8]) -> usize {
    let taken = input.len().min(bytes.len() - *have);
    bytes[*have..*have + taken].copy_from_slice(&input[..taken]);
    *have += taken;
    taken
}

/// The tag that follows `tag`: other ones, or other numbers, lead elsewhere.
fn mix(tag: Tag, number: u64) -> Tag {
    let mut state = u64::from_be_bytes(tag) ^ number;
    splitmix(&mut state).to_be_bytes()
}

#[cfg(test)]
mod tests;
