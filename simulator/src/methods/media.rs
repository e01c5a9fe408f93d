//! `sendPhoto`, `sendDocument` and their kin, and `getFile`.

use serde_json::{Map, Value, json};

use super::content::{Formatted, MAX_CAPTION, attach_markup, placement, reply_markup};
use crate::Moment;
use crate::account::Account;
use crate::files::{MAX_DOWNLOAD_BYTES, MAX_PHOTO_BYTES, StoredFile};
use crate::params::Params;
use crate::reply::{Failure, Success};

/// A kind of media: its field in the call and in the message, and the folder its files go to.
pub(crate) struct MediaKind {
    field: &'static str,
    folder: &'static str,
    has_caption: bool,
}

/// Every kind that is sent with one file.
const KINDS: &[MediaKind] = &[
    MediaKind {
        field: "photo",
        folder: "photos",
        has_caption: true,
    },
    MediaKind {
        field: "document",
        folder: "documents",
        has_caption: true,
    },
    MediaKind {
        field: "audio",
        folder: "music",
        has_caption: true,
    },
    MediaKind {
        field: "video",
        folder: "videos",
        has_caption: true,
    },
    MediaKind {
        field: "animation",
        folder: "animations",
        has_caption: true,
    },
    MediaKind {
        field: "voice",
        folder: "voice",
        has_caption: true,
    },
    MediaKind {
        field: "video_note",
        folder: "video_notes",
        has_caption: false,
    },
    MediaKind {
        field: "sticker",
        folder: "stickers",
        has_caption: false,
    },
];

fn kind(field: &str) -> &'static MediaKind {
    KINDS
        .iter()
        .find(|kind| kind.field == field)
        .expect("every sender names a field of the table")
}

/// <https://core.telegram.org/bots/api#sendphoto>
pub(crate) fn send_photo(account: &mut Account, now: Moment, params: &Params) -> Result<Success, Failure> {
    send(account, now, params, kind("photo"))
}

/// <https://core.telegram.org/bots/api#senddocument>
pub(crate) fn send_document(account: &mut Account, now: Moment, params: &Params) -> Result<Success, Failure> {
    send(account, now, params, kind("document"))
}

/// <https://core.telegram.org/bots/api#sendaudio>
pub(crate) fn send_audio(account: &mut Account, now: Moment, params: &Params) -> Result<Success, Failure> {
    send(account, now, params, kind("audio"))
}

/// <https://core.telegram.org/bots/api#sendvideo>
pub(crate) fn send_video(account: &mut Account, now: Moment, params: &Params) -> Result<Success, Failure> {
    send(account, now, params, kind("video"))
}

/// <https://core.telegram.org/bots/api#sendanimation>
pub(crate) fn send_animation(
    account: &mut Account,
    now: Moment,
    params: &Params,
) -> Result<Success, Failure> {
    send(account, now, params, kind("animation"))
}

/// <https://core.telegram.org/bots/api#sendvoice>
pub(crate) fn send_voice(account: &mut Account, now: Moment, params: &Params) -> Result<Success, Failure> {
    send(account, now, params, kind("voice"))
}

/// <https://core.telegram.org/bots/api#sendvideonote>
pub(crate) fn send_video_note(
    account: &mut Account,
    now: Moment,
    params: &Params,
) -> Result<Success, Failure> {
    send(account, now, params, kind("video_note"))
}

/// <https://core.telegram.org/bots/api#sendsticker>
pub(crate) fn send_sticker(account: &mut Account, now: Moment, params: &Params) -> Result<Success, Failure> {
    send(account, now, params, kind("sticker"))
}

fn send(account: &mut Account, now: Moment, params: &Params, kind: &MediaKind) -> Result<Success, Failure> {
    let caption = if kind.has_caption {
        Formatted::from_params(params, "caption")?
    } else {
        Formatted::default()
    };
    let markup = reply_markup(params)?;
    let chat = account.chat_of(params)?.clone();
    let mut message = placement(account, &chat, params)?;
    caption.check_length(MAX_CAPTION, "message caption is too long")?;
    chat.check_rights()?;
    let file = input_file(account, params, kind)?;

    put_media(&mut message, kind.field, &file);
    put_caption(&mut message, caption);
    attach_markup(&mut message, markup.as_ref());
    Ok(Success::new(account.send_out(now, &chat, message)))
}

/// Finds the file of a call: an upload under the field itself, an upload that the field attaches, or a known id.
fn input_file(account: &mut Account, params: &Params, kind: &MediaKind) -> Result<StoredFile, Failure> {
    let value = params.text(kind.field);
    let attached = value.and_then(|value| value.strip_prefix("attach://"));
    if let Some(upload) = params.upload(attached.unwrap_or(kind.field)) {
        if upload.bytes.is_empty() {
            return Err(Failure::bad_request("file must be non-empty"));
        }
        if kind.field == "photo" && upload.bytes.len() > MAX_PHOTO_BYTES {
            return Err(Failure::bad_request(&format!(
                "file of size {} bytes is too big for a photo; the maximum size is {MAX_PHOTO_BYTES} bytes",
                upload.bytes.len()
            )));
        }
        let content_type = upload
            .content_type
            .as_deref()
            .unwrap_or("application/octet-stream");
        return Ok(account
            .files
            .store(kind.folder, &upload.file_name, content_type, upload.bytes.clone()));
    }
    match value {
        None => Err(Failure::bad_request(&format!(
            "there is no {} in the request",
            kind.field.replace('_', " ")
        ))),
        Some(url) if url.starts_with("http://") || url.starts_with("https://") => {
            // The simulator opens no connection to the outside.
            Err(Failure::bad_request("failed to get HTTP URL content"))
        }
        Some(id) => account.files.by_id(id).cloned().ok_or_else(|| {
            Failure::bad_request(
                "wrong remote file identifier specified: can't unserialize it. Wrong last symbol",
            )
        }),
    }
}

/// Puts the object of a media kind into a message. Sizes in pixels and seconds are made up, bytes are not looked into.
pub(crate) fn put_media(message: &mut Map<String, Value>, field: &str, file: &StoredFile) {
    let mut media = file.to_json();
    match field {
        "photo" => {
            media["width"] = json!(640);
            media["height"] = json!(480);
            message.insert("photo".to_owned(), json!([media]));
            return;
        }
        "video" | "animation" => {
            media["width"] = json!(640);
            media["height"] = json!(480);
            media["duration"] = json!(1);
        }
        "video_note" => {
            media["length"] = json!(240);
            media["duration"] = json!(1);
        }
        "audio" | "voice" => media["duration"] = json!(1),
        "sticker" => {
            media["type"] = json!("regular");
            media["width"] = json!(512);
            media["height"] = json!(512);
            media["is_animated"] = json!(false);
            media["is_video"] = json!(false);
        }
        _ => {}
    }
    if matches!(field, "document" | "audio" | "video" | "animation") {
        media["file_name"] = json!(file.name);
    }
    if !matches!(field, "video_note" | "sticker") {
        media["mime_type"] = json!(file.content_type);
    }
    message.insert(field.to_owned(), media);
}

/// Puts a caption and its entities into a message, or takes them out.
pub(crate) fn put_caption(message: &mut Map<String, Value>, caption: Formatted) {
    match caption.entities {
        Some(entities) => message.insert("caption_entities".to_owned(), entities),
        None => message.remove("caption_entities"),
    };
    if caption.text.is_empty() {
        message.remove("caption");
    } else {
        message.insert("caption".to_owned(), Value::String(caption.text));
    }
}

/// Tells whether a message can have a caption.
pub(crate) fn has_media(message: &Map<String, Value>) -> bool {
    KINDS
        .iter()
        .any(|kind| kind.has_caption && message.contains_key(kind.field))
}

/// <https://core.telegram.org/bots/api#getfile>
pub(crate) fn get_file(account: &mut Account, _: Moment, params: &Params) -> Result<Success, Failure> {
    let id = params
        .text("file_id")
        .ok_or_else(|| Failure::bad_request("file_id not specified"))?;
    let file = account
        .files
        .by_id(id)
        .ok_or_else(|| Failure::bad_request("wrong file_id or the file is temporarily unavailable"))?;
    if file.size > MAX_DOWNLOAD_BYTES {
        return Err(Failure::bad_request("file is too big"));
    }
    let mut result = file.to_json();
    result["file_path"] = json!(file.path);
    Ok(Success::new(result))
}
