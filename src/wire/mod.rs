//! Bytes to messages and back. Decoders check bounds before every read and never panic.

mod adv;
pub mod bounds;
mod control;
mod features;
mod frame;
mod net;
mod note;
mod object;
pub mod packet;
mod signed;
mod tunnel;

pub use adv::{
    Advertisement, LinkAdv, LinkFlags, Neighbor, RouteAdv, RoutePrefix, Stamp, load_class,
    rtt_class,
};
pub use bounds::AdvError;
pub use control::{
    BucketSummary, ControlMessage, Digest, ENOUGH_REACH, Flood, Goodbye, Hello, OBJECT_KEY_BYTES,
    PathError, Request, Token,
};
pub use features::Features;
pub use frame::{FrameError, decode_frame, encode_frame};
pub use note::{NOTE_LIMIT, Note};
pub use object::{ObjectKey, ObjectKind, Version};
pub use signed::{CertificateBytes, Envelope, SignedAdv};
pub use tunnel::{
    ConnectReply, ConnectRequest, ConnectStatus, ResolveReply, ResolveRequest,
    STREAM_MESSAGE_LIMIT, StreamRequest, Target, USEFUL_V4, USEFUL_V6,
};
