//! Reading in calls of a bounded size: what every open file of a driver does, whatever it asks.

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use crate::Result;

/// The most bytes of one call.
pub(super) const MAX_CALL: usize = 1 << 20;

/// Fills `buf` from `offset` by asking for so many bytes at an offset; fewer at the end. Answers in small pieces have `time`, that of
/// one call, together.
pub(super) async fn read<'a>(
    buf: &mut [u8],
    offset: u64,
    time: Duration,
    ask: impl Fn(u64, usize) -> BoxFuture<'a, Result<Vec<u8>>>,
) -> Result<usize> {
    let (mut done, begin) = (0, Instant::now());
    while done < buf.len() && begin.elapsed() <= time {
        let (len, Some(at)) = ((buf.len() - done).min(MAX_CALL), offset.checked_add(done as u64)) else {
            break;
        };
        let piece = match ask(at, len).await {
            Ok(piece) => piece,
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        };
        if piece.is_empty() {
            break;
        }
        // More than was asked for is a fault of the driver; the guest gets what fits.
        let n = piece.len().min(len);
        buf[done..done + n].copy_from_slice(&piece[..n]);
        done += n;
    }
    Ok(done)
}
