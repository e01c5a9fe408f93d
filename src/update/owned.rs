//! An update as the runtime keeps it: its raw text and the envelope read from it.

use std::{fmt, ops::Range, sync::Arc, time::SystemTime};

use actogram_actors::Lane;
use serde_json::value::RawValue;

use super::{Envelope, EnvelopeError, Keys, UpdateKind};
use crate::lane::lane_of;

/// One update: the raw JSON text it arrived in, and what the runtime read from its [`Envelope`].
///
/// The text is a copy of its own. A response of `getUpdates` holds up to 100 updates of up to 512 KiB each; sharing that
/// buffer would save the copy (well under a microsecond for a usual update), but then one small update that waits for
/// its turn would keep all of it in memory.
///
/// Cloning shares everything and costs one reference count.
#[derive(Clone)]
pub struct Update(Arc<Parts>);

struct Parts {
    raw: Box<str>,
    payload: Option<Range<usize>>,
    id: i64,
    kind: UpdateKind,
    /// Only for kinds that have no name of ours.
    unknown_name: Option<Box<str>>,
    keys: Keys<'static>,
    date: Option<i64>,
    received_at: SystemTime,
    lane: Lane,
}

impl Update {
    /// Reads an update from its JSON text.
    ///
    /// # Errors
    ///
    /// [`EnvelopeError`] when the text is not a JSON object with a usable `update_id`. Everything else about it may be
    /// unknown or wrong.
    pub fn from_json(text: &str) -> Result<Self, EnvelopeError> {
        let raw = serde_json::from_str(text).map_err(|source| EnvelopeError::NotJson { source })?;
        Self::from_raw(raw)
    }

    /// Reads an update from an element of [`split`](super::split), whose syntax needs no second check.
    ///
    /// # Errors
    ///
    /// As [`from_json`](Self::from_json), except that the text is JSON already.
    pub fn from_raw(raw: &RawValue) -> Result<Self, EnvelopeError> {
        Envelope::read(raw).map(Self::from)
    }

    /// Returns the `update_id`.
    ///
    /// Ids are unique within the queue of the server, but have gaps and may restart lower: neither order nor count by
    /// them.
    pub fn id(&self) -> i64 {
        self.0.id
    }

    /// Returns what the update is about.
    pub fn kind(&self) -> UpdateKind {
        self.0.kind
    }

    /// Returns the wire name of the kind, also of one that this version does not know. `unknown` when the update
    /// carries nothing but its id.
    pub fn kind_name(&self) -> &str {
        self.0.unknown_name.as_deref().unwrap_or(self.0.kind.as_str())
    }

    /// Returns the lane that keeps the update in order, as its kind and its keys say. What was received of a group that
    /// became a supergroup is handled in the lane of the supergroup.
    pub fn lane(&self) -> &Lane {
        &self.0.lane
    }

    /// Returns every id the update carries.
    pub fn keys(&self) -> &Keys<'static> {
        &self.0.keys
    }

    /// Returns [`Keys::chat_id`].
    pub fn chat_id(&self) -> Option<i64> {
        self.0.keys.chat_id
    }

    /// Returns [`Keys::user_id`].
    pub fn user_id(&self) -> Option<i64> {
        self.0.keys.user_id
    }

    /// Returns [`Keys::sender_chat_id`].
    pub fn sender_chat_id(&self) -> Option<i64> {
        self.0.keys.sender_chat_id
    }

    /// Returns [`Keys::thread_id`].
    pub fn thread_id(&self) -> Option<i64> {
        self.0.keys.thread_id
    }

    /// Returns [`Keys::business_connection_id`].
    pub fn business_connection_id(&self) -> Option<&str> {
        self.0.keys.business_connection_id.as_deref()
    }

    /// Returns [`Keys::guest_query_id`].
    pub fn guest_query_id(&self) -> Option<&str> {
        self.0.keys.guest_query_id.as_deref()
    }

    /// Returns [`Keys::poll_id`].
    pub fn poll_id(&self) -> Option<&str> {
        self.0.keys.poll_id.as_deref()
    }

    /// Returns the lane that ends with this update and the one as which it goes on: for the two
    /// [service messages](https://core.telegram.org/bots/api#message) of a group that becomes a supergroup, of which either
    /// may come first, or alone. `None` for every other update.
    pub fn moves_lane(&self) -> Option<(Lane, Lane)> {
        crate::lane::moved_by(self.kind(), self.keys())
    }

    /// Returns [`Envelope::date`]: when it happened, in Unix seconds, for kinds that say so.
    pub fn date(&self) -> Option<i64> {
        self.0.date
    }

    /// Returns when this process, or the one before it that journaled the update, received it, by the wall clock.
    pub fn received_at(&self) -> SystemTime {
        self.0.received_at
    }

    /// Sets when the update was received; for one that is read back and not shared yet.
    #[cfg(feature = "journal")]
    pub(crate) fn with_received_at(mut self, at: SystemTime) -> Self {
        if let Some(parts) = Arc::get_mut(&mut self.0) {
            parts.received_at = at;
        }
        self
    }

    /// Returns the JSON text of the whole update as it arrived, without white space around it.
    pub fn raw(&self) -> &str {
        &self.0.raw
    }

    /// Returns the JSON text below the kind; `null` when the update carries nothing but its id.
    pub fn payload(&self) -> &str {
        self.0
            .payload
            .clone()
            .and_then(|range| self.0.raw.get(range))
            .unwrap_or("null")
    }
}

impl From<Envelope<'_>> for Update {
    fn from(envelope: Envelope<'_>) -> Self {
        let kind = envelope.kind;
        Self(Arc::new(Parts {
            raw: envelope.raw().into(),
            payload: envelope.payload_range(),
            id: envelope.update_id,
            kind,
            unknown_name: (kind == UpdateKind::Unknown).then(|| envelope.kind_name.into()),
            lane: lane_of(kind, &envelope.keys),
            date: envelope.date,
            received_at: SystemTime::now(),
            keys: envelope.keys.into_owned(),
        }))
    }
}

/// Shows ids and sizes, never what somebody wrote.
impl fmt::Debug for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Update")
            .field("id", &self.id())
            .field("kind", &self.kind_name())
            .field("lane", self.lane())
            .field("bytes", &self.raw().len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_shareable<T: Clone + Send + Sync + 'static>(_: &T) {}

    #[test]
    fn an_update_is_shared_between_threads_without_copying() {
        let update = Update::from_json(r#"{"update_id":5,"message":{"chat":{"id":7}}}"#).unwrap();
        assert_shareable(&update);

        let clone = update.clone();

        assert!(std::ptr::eq(clone.raw(), update.raw()));
    }

    #[test]
    fn an_update_outlives_the_text_it_was_read_from() {
        let text = String::from(
            " {\"update_id\":5,\"poll_answer\":{\"poll_id\":\"9\",\"voter_chat\":{\"id\":-3}}}\n",
        );

        let update = Update::from_json(&text).unwrap();
        drop(text);

        assert_eq!(update.payload(), r#"{"poll_id":"9","voter_chat":{"id":-3}}"#);
        assert_eq!((update.poll_id(), update.sender_chat_id()), (Some("9"), Some(-3)));
    }

    #[test]
    fn an_update_without_content_has_null_as_payload() {
        let update = Update::from_json(r#"{"update_id":5}"#).unwrap();

        assert_eq!((update.kind_name(), update.payload()), ("unknown", "null"));
    }

    #[test]
    fn debug_output_shows_ids_and_sizes_only() {
        let text = r#"{"update_id":5,"message":{"chat":{"id":7},"text":"secret"}}"#;

        let shown = format!("{:?}", Update::from_json(text).unwrap());

        let bytes = text.len();
        assert_eq!(
            shown,
            format!(r#"Update {{ id: 5, kind: "message", lane: Lane(chat:7), bytes: {bytes}, .. }}"#)
        );
    }
}
