//! Receive buffers, recycled.

use std::sync::{Arc, Mutex};

/// The most a UDP datagram, and so a GRO batch, can hold.
const BUFFER_LEN: usize = 65_536;

/// Free buffers kept for reuse; more are returned to the allocator. 64 × 64 KiB = 4 MiB.
const POOLED: usize = 64;

/// A pool of equal buffers. Cloning shares it.
#[derive(Clone, Default)]
pub struct BufferPool {
    free: Arc<Mutex<Vec<Box<[u8]>>>>,
}

/// A buffer of 64 KiB that returns to its pool when dropped.
pub struct Buffer {
    bytes: Box<[u8]>,
    pool: BufferPool,
}

impl BufferPool {
    /// A free buffer, or a new one. Its contents are whatever the last user left.
    pub fn take(&self) -> Buffer {
        let free = self.lock().pop();
        Buffer {
            bytes: free.unwrap_or_else(|| vec![0; BUFFER_LEN].into_boxed_slice()),
            pool: self.clone(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Box<[u8]>>> {
        self.free.lock().expect("no panic while the pool is locked")
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let mut free = self.pool.lock();
        if free.len() < POOLED {
            free.push(bytes);
        }
    }
}

impl std::ops::Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl std::ops::DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}
