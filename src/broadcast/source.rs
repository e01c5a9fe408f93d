//! Where the chats come from.

use std::{error::Error, pin::Pin, sync::Arc};

use futures_util::{Stream, StreamExt, stream};

/// An error of a source.
pub(super) type SourceError = Arc<dyn Error + Send + Sync>;

/// The chats, one after the other.
pub(super) struct Source {
    chats: Pin<Box<dyn Stream<Item = Result<i64, SourceError>> + Send>>,
    /// How many there are, as far as it is known.
    pub(super) total: Option<u64>,
}

impl Source {
    pub(super) fn from_iter<I>(chats: I) -> Self
    where
        I: IntoIterator<Item = i64>,
        I::IntoIter: Send + 'static,
    {
        let chats = chats.into_iter();
        let total = match chats.size_hint() {
            (least, Some(most)) if least == most => Some(most as u64),
            _ => None,
        };
        Self {
            chats: Box::pin(stream::iter(chats.map(Ok))),
            total,
        }
    }

    pub(super) fn from_stream<E>(chats: impl Stream<Item = Result<i64, E>> + Send + 'static) -> Self
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        Self {
            chats: Box::pin(chats.map(|chat| chat.map_err(|error| Arc::from(error.into())))),
            total: None,
        }
    }

    /// Returns the chats in chunks of what is there at once, at most `most` in one.
    pub(super) fn chunks(self, most: usize) -> impl Stream<Item = Result<Vec<i64>, SourceError>> {
        self.chats
            .ready_chunks(most)
            .flat_map(|chunk| {
                // What came before an error still counts.
                let mut good = Vec::with_capacity(chunk.len());
                let mut error = None;
                for chat in chunk {
                    match chat {
                        Ok(chat) => good.push(chat),
                        Err(failed) => {
                            error = Some(Err(failed));
                            break;
                        }
                    }
                }
                let good = (!good.is_empty()).then_some(Ok(good));
                stream::iter(good.into_iter().chain(error))
            })
            .fuse()
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn a_source_that_can_be_counted_is_counted() {
        assert_eq!(Source::from_iter(1..=3).total, Some(3));
        assert_eq!(Source::from_iter((1..=3).filter(|chat| *chat > 1)).total, None);
    }

    #[actix_rt::test]
    async fn chats_before_an_error_are_not_lost() {
        let chats = stream::iter([Ok(1), Ok(2), Err("the database is gone"), Ok(3)]);

        let chunks: Vec<_> = Source::from_stream(chats).chunks(10).collect().await;

        assert_eq!(chunks.len(), 2);
        assert_eq!(chunks[0].as_ref().unwrap(), &[1, 2]);
        assert_eq!(
            chunks[1].as_ref().unwrap_err().to_string(),
            "the database is gone"
        );
    }

    #[actix_rt::test]
    async fn chunks_are_bounded() {
        let chunks: Vec<_> = Source::from_iter(1..=5).chunks(2).collect().await;

        let lengths: Vec<_> = chunks.iter().map(|chunk| chunk.as_ref().unwrap().len()).collect();
        assert_eq!(lengths, [2, 2, 1]);
    }
}
