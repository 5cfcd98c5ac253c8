//! Components in Redis: in pieces, under their SHA-256.

use std::time::Duration;

use super::handle::Fleet;
use super::record::MAX_COMPONENT_BYTES;
use crate::error::RedisError;
use crate::redis::scripts::unknown_reply;
use crate::redis::time::millis;

/// One piece. Small enough that other commands on the connection do not wait for it.
const PIECE_BYTES: usize = 256 << 10;
/// How much of the server's `maxmemory` may be used with a new component, in percent: the tasks need the rest.
const MEMORY_PERCENT: u32 = 80;
/// Pieces that no record names expire after this. A push takes seconds.
pub(super) const UNUSED_FOR: Duration = Duration::from_secs(3_600);

/// Why a component was not stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It is too large.
    #[error("the component has {bytes} bytes; at most {limit} are taken", limit = MAX_COMPONENT_BYTES)]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The server would come near its limit.
    #[error(
        "Redis uses {used} of its {most} bytes (maxmemory); {bytes} more would be above the {percent} % that components may \
         fill",
        percent = MEMORY_PERCENT
    )]
    NoRoom {
        /// The component's size.
        bytes: usize,
        /// What the server uses, in bytes.
        used: u64,
        /// The server's `maxmemory`, in bytes.
        most: u64,
    },
    /// Redis does not answer.
    #[error(transparent)]
    Redis(#[from] RedisError),
}

/// The number of pieces of a component.
pub(super) fn pieces(bytes: u64) -> u64 {
    bytes.div_ceil(PIECE_BYTES as u64)
}

impl Fleet {
    /// Stores a component. It expires after an hour unless a record names it by then.
    ///
    /// # Errors
    ///
    /// [`StoreError`]. Pieces that were stored expire.
    pub async fn store(&self, digest: &str, component: &[u8]) -> Result<(), StoreError> {
        let bytes = component.len();
        if bytes as u64 > MAX_COMPONENT_BYTES {
            return Err(StoreError::TooLarge { bytes });
        }
        let during = || RedisError::during("store a component");
        let key = self.queue.keys.fleet_artefact(digest);
        for (number, piece) in component.chunks(PIECE_BYTES).enumerate() {
            let mut call = self.scripts.piece.key(&key);
            call.arg(number).arg(piece).arg(bytes).arg(MEMORY_PERCENT).arg(millis(UNUSED_FOR));
            let (word, used, most): (String, u64, u64) =
                call.run(&mut self.queue.connection.clone()).await.map_err(during())?;
            match word.as_str() {
                "stored" => {}
                "full" => return Err(StoreError::NoRoom { bytes, used, most }),
                other => return Err(during()(unknown_reply("fleet_piece", other)).into()),
            }
        }
        Ok(())
    }

    /// Reads a component of `size` bytes; none when a piece is missing or has another size. The caller compares the
    /// digest.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn fetch(&self, digest: &str, size: u64) -> Result<Option<Vec<u8>>, RedisError> {
        let size = usize::try_from(size.min(MAX_COMPONENT_BYTES)).unwrap_or(0);
        let key = self.queue.keys.fleet_artefact(digest);
        let mut component = Vec::new();
        while component.len() < size {
            let piece: Option<Vec<u8>> = redis::cmd("HGET")
                .arg(&key)
                .arg(component.len() / PIECE_BYTES)
                .query_async(&mut self.queue.connection.clone())
                .await
                .map_err(RedisError::during("fetch a component"))?;
            let expected = PIECE_BYTES.min(size - component.len());
            let Some(piece) = piece.filter(|piece| piece.len() == expected) else {
                return Ok(None);
            };
            component.extend(piece);
        }
        Ok(Some(component))
    }

    /// Whether a component is stored as a whole.
    ///
    /// # Errors
    ///
    /// Redis does not answer.
    pub async fn is_stored(&self, digest: &str, size: u64) -> Result<bool, RedisError> {
        let stored: u64 = redis::cmd("HLEN")
            .arg(self.queue.keys.fleet_artefact(digest))
            .query_async(&mut self.queue.connection.clone())
            .await
            .map_err(RedisError::during("look for a component"))?;
        Ok(stored == pieces(size))
    }
}
