//! Sends photos from disk and says how far it is, sends an album, and downloads what comes back.
//!
//! `TELEGRAM_BOT_TOKEN=… cargo run --example upload -- first.jpg second.jpg`, then write `/photo` or `/album` to the bot,
//! or send it a photo.

use std::{
    env,
    path::{Path, PathBuf},
    sync::Arc,
};

use actogram::{
    Bot, BotReport, Context, HandlerError, HandlerResult,
    frankenstein::{
        input_media::{InputMediaPhoto, MediaGroupInputMedia},
        methods::{GetFileParams, SendMediaGroupParams, SendPhotoParams},
        types::Message,
    },
};

#[actix::main]
async fn main() -> Result<BotReport, Box<dyn std::error::Error>> {
    let files: Arc<[PathBuf]> = env::args_os().skip(1).map(PathBuf::from).collect();
    if files.len() < 2 {
        return Err("name two photos: cargo run --example upload -- first.jpg second.jpg".into());
    }
    let bot = Bot::from_env().handlers(move || {
        let files = Arc::clone(&files);
        move |ctx: Context| handle(ctx, Arc::clone(&files))
    });
    Ok(bot.run().await?)
}

async fn handle(ctx: Context, files: Arc<[PathBuf]>) -> HandlerResult {
    let (Some(message), Some(chat_id)) = (ctx.message(), ctx.chat_id()) else {
        return Ok(());
    };
    match ctx.text() {
        Some("/photo") => send_photo(&ctx, chat_id, &files[0]).await,
        Some("/album") => send_album(&ctx, chat_id, &files).await,
        _ if message.photo.is_some() => download(&ctx, message).await,
        _ => Ok(ctx.reply("/photo, /album, or a photo of yours").await.map(drop)?),
    }
}

/// The file is read while it is sent, so its size does not matter for memory.
async fn send_photo(ctx: &Context, chat_id: i64, file: &Path) -> HandlerResult {
    let api = ctx.api().on_progress(|progress| {
        println!("{} of {} bytes sent", progress.bytes, progress.total.unwrap_or(0));
    });
    let params = SendPhotoParams::builder()
        .chat_id(chat_id)
        .photo(file.to_path_buf())
        .build();
    let sent = api.send_photo(&params).await?;
    download(ctx, &sent).await
}

async fn send_album(ctx: &Context, chat_id: i64, files: &[PathBuf]) -> HandlerResult {
    let photo =
        |file: &PathBuf| MediaGroupInputMedia::Photo(InputMediaPhoto::builder().media(file.clone()).build());
    let params = SendMediaGroupParams::builder()
        .chat_id(chat_id)
        .media(files.iter().map(photo).collect())
        .build();
    let album = ctx.api().send_media_group(&params).await?;
    println!("an album of {} photos sent", album.len());
    Ok(())
}

/// The file appears under its name when all of it is there.
async fn download(ctx: &Context, message: &Message) -> HandlerResult {
    let Some(largest) = message.photo.iter().flatten().max_by_key(|size| size.width) else {
        return Err(HandlerError::give_up("the message has no photo"));
    };
    let params = GetFileParams::builder().file_id(&largest.file_id).build();
    let file = ctx.api().get_file(&params).await?;
    let target = env::temp_dir().join(format!("{}.jpg", file.file_unique_id));
    let len = ctx.api().download_to(&file, &target).await?;
    println!("{len} bytes downloaded to {}", target.display());
    ctx.reply(format!("I have {len} bytes of your photo")).await?;
    Ok(())
}
