//! A YAML document as a tree that knows where everything stands. Scalars stay text: the key that
//! holds one decides what it means.

use std::collections::HashMap;

use granit_parser::{Event, Marker, Options, Parser, ScalarStyle, ScanError, Span};

use super::Place;
use super::error::Problem;
use super::scalar::quote;

/// The largest file that is read, bytes: room for the 100,000 routes that an origin may advertise by
/// default, a line each, and a bound on the work that a wrong path can cause.
pub const MAX_FILE_BYTES: usize = 4 * 1024 * 1024;

/// Nesting of lists and sections. The deepest key of the configuration has 5 levels; recursion
/// over the tree is bounded by this.
const MAX_DEPTH: usize = 32;

/// What anchors and aliases may copy in all, in units of [`Node::size`]: a quarter of the largest
/// file. Without it ten lines of aliases to aliases fill the memory; twice the largest file took them
/// 89 MB and 150 ms.
const MAX_COPIED: usize = MAX_FILE_BYTES / 4;

/// One value.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) content: Content,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    /// In the order of the file, duplicate keys included.
    Map(Vec<(Key, Node)>),
}

#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) place: Place,
    pub(super) text: String,
}

/// Why a text is not a document that can be read.
#[derive(Debug)]
pub(super) struct DocumentError {
    pub(super) place: Option<Place>,
    pub(super) problem: Problem,
}

/// Parses the one document in `text`.
pub(super) fn document(text: &str) -> Result<Node, DocumentError> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let mut builder = Builder::default();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| from_scan(&error))?;
        builder.handle_event(event, span)?;
    }
    match builder.root {
        Some(root) if !root.is_null() => Ok(root),
        _ => Err(DocumentError {
            place: None,
            problem: Problem::Invalid(
                "the file is empty; write {} for an agent with all defaults".to_owned(),
            ),
        }),
    }
}

impl DocumentError {
    fn at(place: Place, reason: impl Into<String>) -> Self {
        Self {
            place: Some(place),
            problem: Problem::Invalid(reason.into()),
        }
    }
}

impl Node {
    /// Whether the value was left out: nothing, `~` or `null`, without quotes.
    pub(super) fn is_null(&self) -> bool {
        match &self.content {
            Content::Scalar { text, plain } => {
                *plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL")
            }
            Content::List(_) | Content::Map(_) => false,
        }
    }

    /// What it takes to copy this node: a fixed share per node, and its text.
    fn size(&self) -> usize {
        const SHARE: usize = 4;
        SHARE
            + match &self.content {
                Content::Scalar { text, .. } => text.len(),
                Content::List(items) => items.iter().map(Self::size).sum(),
                Content::Map(entries) => entries
                    .iter()
                    .map(|(key, value)| SHARE + key.text.len() + value.size())
                    .sum(),
            }
    }
}

/// Puts events together; `open` is the way from the root to where the parser stands.
#[derive(Default)]
struct Builder {
    root: Option<Node>,
    open: Vec<Open>,
    /// Every finished anchored node with its size.
    anchors: HashMap<usize, (Node, usize)>,
    copied: usize,
}

/// A list or map whose end has not come yet.
struct Open {
    node: Node,
    anchor: usize,
    /// In a map: the key that waits for its value.
    key: Option<Key>,
}

impl Builder {
    fn handle_event(&mut self, event: Event<'_>, span: Span) -> Result<(), DocumentError> {
        let place = place(span.start);
        if let Some(tag) = event.tag() {
            let tag = quote(&tag.original());
            let reason = format!("tags are not used here; remove {tag}");
            return Err(DocumentError::at(place, reason));
        }
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let content = Content::Scalar {
                    text: text.into_owned(),
                    plain: style == ScalarStyle::Plain,
                };
                self.attach(Node { place, content }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.begin(place, Content::List(Vec::new()), anchor)
            }
            Event::MappingStart(_, anchor, _) => {
                self.begin(place, Content::Map(Vec::new()), anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(done) = self.open.pop() else {
                    return Ok(());
                };
                self.attach(done.node, done.anchor)
            }
            Event::Alias(anchor) => {
                let Some((node, size)) = self.anchors.get(&anchor) else {
                    let reason = "the alias stands inside its own anchor";
                    return Err(DocumentError::at(place, reason));
                };
                self.copied = may_copy(self.copied, *size, place)?;
                let copy = node.clone();
                self.attach(copy, 0)
            }
            Event::DocumentStart(..) if self.root.is_some() => {
                let reason = "a second document starts here; a file holds one";
                Err(DocumentError::at(place, reason))
            }
            _ => Ok(()),
        }
    }

    fn begin(
        &mut self,
        place: Place,
        content: Content,
        anchor: usize,
    ) -> Result<(), DocumentError> {
        if self.open.len() >= MAX_DEPTH {
            let reason = format!("nested deeper than {MAX_DEPTH} levels");
            return Err(DocumentError::at(place, reason));
        }
        self.open.push(Open {
            node: Node { place, content },
            anchor,
            key: None,
        });
        Ok(())
    }

    /// Hangs a finished node where it belongs, and remembers it under its anchor (0 is none).
    fn attach(&mut self, node: Node, anchor: usize) -> Result<(), DocumentError> {
        if anchor != 0 {
            let size = node.size();
            self.copied = may_copy(self.copied, size, node.place)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match (&mut parent.node.content, parent.key.take()) {
            (Content::List(items), _) => items.push(node),
            (Content::Map(entries), Some(key)) => entries.push((key, node)),
            (Content::Map(_), None) => match node.content {
                Content::Scalar { text, .. } => {
                    parent.key = Some(Key {
                        place: node.place,
                        text,
                    });
                }
                Content::List(_) | Content::Map(_) => {
                    return Err(DocumentError::at(
                        node.place,
                        "a key must be a word, not a list or a section",
                    ));
                }
            },
            (Content::Scalar { .. }, _) => {}
        }
        Ok(())
    }
}

/// The new total of copied sizes, if it is within [`MAX_COPIED`].
fn may_copy(copied: usize, size: usize, place: Place) -> Result<usize, DocumentError> {
    let total = copied.saturating_add(size);
    if total > MAX_COPIED {
        let reason = "anchors and aliases blow the file up too far; write it without them";
        return Err(DocumentError::at(place, reason));
    }
    Ok(total)
}

fn from_scan(error: &ScanError) -> DocumentError {
    DocumentError {
        place: Some(place(*error.marker())),
        problem: Problem::Syntax(error.info()),
    }
}

fn place(marker: Marker) -> Place {
    Place {
        line: marker.line().max(1),
        column: marker.col() + 1,
    }
}
