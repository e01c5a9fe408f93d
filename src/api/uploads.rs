//! The common calls that may carry files, with their results decoded here.
//!
//! A file is sent from disk when its parameter is a path; an id or an address of a file is sent as it is.

use std::path::PathBuf;

use frankenstein::{
    AsyncTelegramApi,
    input_file::FileUpload,
    methods::{
        EditMessageMediaParams, EditMessageTextParams, SendAnimationParams, SendAudioParams,
        SendDocumentParams, SendMediaGroupParams, SendPhotoParams, SendPollParams, SendStickerParams,
        SendVideoNoteParams, SendVideoParams, SendVoiceParams, SetWebhookParams,
    },
    response::MessageOrBool,
    types::Message,
};
use serde::Serialize;

use super::{
    decode,
    error::ApiError,
    handle::{Api, encode},
    request::RequestBody,
    trait_impl::encode_form,
};

/// Writes one inherent method per line, for calls that have files as direct parameters and return a message.
macro_rules! uploads {
    ($($(#[$doc:meta])+ $name:ident($params:ty: $($file:ident),+) = $method:literal;)+) => {
        impl Api {
            $(
                $(#[$doc])+
                pub async fn $name(&self, params: &$params) -> Result<Message, ApiError> {
                    let files = [$((stringify!($file), Option::<&FileUpload>::from(&params.$file))),+];
                    let body = upload_body($method, params, &files)?;
                    let answer = self.exchange($method, body, None).await?;
                    self.decode($method, &answer.result, decode::message)
                }
            )+
        }
    };
}

uploads! {
    /// Sends a photo. See <https://core.telegram.org/bots/api#sendphoto>.
    send_photo(SendPhotoParams: photo) = "sendPhoto";

    /// Sends a file. See <https://core.telegram.org/bots/api#senddocument>.
    send_document(SendDocumentParams: document, thumbnail) = "sendDocument";

    /// Sends a video. See <https://core.telegram.org/bots/api#sendvideo>.
    send_video(SendVideoParams: video, cover, thumbnail) = "sendVideo";

    /// Sends an animation without sound. See <https://core.telegram.org/bots/api#sendanimation>.
    send_animation(SendAnimationParams: animation, thumbnail) = "sendAnimation";

    /// Sends music. See <https://core.telegram.org/bots/api#sendaudio>.
    send_audio(SendAudioParams: audio, thumbnail) = "sendAudio";

    /// Sends a voice message. See <https://core.telegram.org/bots/api#sendvoice>.
    send_voice(SendVoiceParams: voice) = "sendVoice";

    /// Sends a round video message. See <https://core.telegram.org/bots/api#sendvideonote>.
    send_video_note(SendVideoNoteParams: video_note, thumbnail) = "sendVideoNote";

    /// Sends a sticker. See <https://core.telegram.org/bots/api#sendsticker>.
    send_sticker(SendStickerParams: sticker) = "sendSticker";
}

impl Api {
    /// Sends 2 to 10 photos, videos, documents or audios as an album. Some may have been sent although the call was
    /// refused. See <https://core.telegram.org/bots/api#sendmediagroup>.
    pub async fn send_media_group(&self, params: &SendMediaGroupParams) -> Result<Vec<Message>, ApiError> {
        let response = AsyncTelegramApi::send_media_group(self, params).await?;
        Ok(response.result)
    }

    /// Sends a poll. See <https://core.telegram.org/bots/api#sendpoll>.
    pub async fn send_poll(&self, params: &SendPollParams) -> Result<Message, ApiError> {
        let response = AsyncTelegramApi::send_poll(self, params).await?;
        Ok(response.result)
    }

    /// Edits a text. Returns the message, or `true` for a message that was sent in inline mode.
    /// See <https://core.telegram.org/bots/api#editmessagetext>.
    pub async fn edit_message_text(&self, params: &EditMessageTextParams) -> Result<MessageOrBool, ApiError> {
        // A rich message may name files in its parts, which the types crate collects.
        if params.rich_message.is_some() {
            let response = AsyncTelegramApi::edit_message_text(self, params).await?;
            return Ok(response.result);
        }
        let body = encode("editMessageText", params)?;
        let answer = self.exchange("editMessageText", body, None).await?;
        self.decode("editMessageText", &answer.result, decode::message_or_bool)
    }

    /// Replaces the photo, video, document or audio of a message. Returns the message, or `true` for a message that was
    /// sent in inline mode. See <https://core.telegram.org/bots/api#editmessagemedia>.
    pub async fn edit_message_media(
        &self,
        params: &EditMessageMediaParams,
    ) -> Result<MessageOrBool, ApiError> {
        let response = AsyncTelegramApi::edit_message_media(self, params).await?;
        Ok(response.result)
    }

    /// Sets the webhook, uploading the certificate if there is one.
    /// See <https://core.telegram.org/bots/api#setwebhook>.
    pub async fn set_webhook(&self, params: &SetWebhookParams) -> Result<bool, ApiError> {
        let body = match &params.certificate {
            Some(certificate) => {
                encode_form("setWebhook", params, &[("certificate", certificate.path.clone())])?
            }
            None => encode("setWebhook", params)?,
        };
        let answer = self.exchange("setWebhook", body, None).await?;
        self.decode("setWebhook", &answer.result, decode::boolean)
    }
}

/// Writes parameters as JSON, or as a form if one of the files is a path.
fn upload_body<P: Serialize>(
    method: &str,
    params: &P,
    files: &[(&'static str, Option<&FileUpload>)],
) -> Result<RequestBody, ApiError> {
    let paths: Vec<(&str, PathBuf)> = files
        .iter()
        .filter_map(|(name, file)| match file {
            Some(FileUpload::InputFile(file)) => Some((*name, file.path.clone())),
            _ => None,
        })
        .collect();
    if paths.is_empty() {
        encode(method, params)
    } else {
        encode_form(method, params, &paths)
    }
}
