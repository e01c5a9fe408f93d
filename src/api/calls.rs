//! The common calls without files, with their results decoded here.

use frankenstein::{
    methods::{
        AnswerCallbackQueryParams, AnswerInlineQueryParams, AnswerPreCheckoutQueryParams,
        AnswerShippingQueryParams, ApproveChatJoinRequestParams, BanChatMemberParams, CopyMessageParams,
        CopyMessagesParams, CreateChatInviteLinkParams, DeclineChatJoinRequestParams, DeleteMessageParams,
        DeleteMessagesParams, DeleteMyCommandsParams, DeleteWebhookParams, EditMessageCaptionParams,
        EditMessageReplyMarkupParams, ForwardMessageParams, ForwardMessagesParams,
        GetChatAdministratorsParams, GetChatMemberCountParams, GetChatMemberParams, GetChatParams,
        GetFileParams, GetMyCommandsParams, GetUserProfilePhotosParams, LeaveChatParams,
        PinChatMessageParams, RestrictChatMemberParams, SendChatActionParams, SendContactParams,
        SendDiceParams, SendInvoiceParams, SendLocationParams, SendMessageParams, SendVenueParams,
        SetMessageReactionParams, SetMyCommandsParams, StopPollParams, UnbanChatMemberParams,
        UnpinChatMessageParams,
    },
    response::MessageOrBool,
    types::{
        BotCommand, ChatFullInfo, ChatInviteLink, ChatMember, File, Message, MessageId, Poll, User,
        UserProfilePhotos,
    },
    updates::WebhookInfo,
};

use super::{
    decode,
    error::ApiError,
    handle::{Api, encode},
    request::RequestBody,
};

/// Writes one inherent method per line. They are not generic, so they are compiled in this crate.
macro_rules! calls {
    ($($(#[$doc:meta])+ $name:ident($params:ty) -> $output:ty = $method:literal, $decoder:path;)+) => {
        impl Api {
            $(
                $(#[$doc])+
                pub async fn $name(&self, params: &$params) -> Result<$output, ApiError> {
                    let body = encode($method, params)?;
                    let answer = self.exchange($method, body, None).await?;
                    self.decode($method, &answer.result, $decoder)
                }
            )+
        }
    };
}

impl Api {
    /// Returns the bot as a user. See <https://core.telegram.org/bots/api#getme>.
    pub async fn get_me(&self) -> Result<User, ApiError> {
        let answer = self.exchange("getMe", RequestBody::Empty, None).await?;
        self.decode("getMe", &answer.result, decode::user)
    }

    /// Returns the state of the webhook. See <https://core.telegram.org/bots/api#getwebhookinfo>.
    pub async fn get_webhook_info(&self) -> Result<WebhookInfo, ApiError> {
        let answer = self.exchange("getWebhookInfo", RequestBody::Empty, None).await?;
        self.decode("getWebhookInfo", &answer.result, decode::webhook_info)
    }

    /// Sends a plain text of 1 to 4096 characters to a chat; [`Api::send_message`] takes all other parameters.
    /// See <https://core.telegram.org/bots/api#sendmessage>.
    pub async fn send_text(&self, chat_id: i64, text: &str) -> Result<Message, ApiError> {
        let params = SendMessageParams::builder().chat_id(chat_id).text(text).build();
        self.send_message(&params).await
    }
}

calls! {
    /// Sends a text message. See <https://core.telegram.org/bots/api#sendmessage>.
    send_message(SendMessageParams) -> Message = "sendMessage", decode::message;

    /// Forwards a message. See <https://core.telegram.org/bots/api#forwardmessage>.
    forward_message(ForwardMessageParams) -> Message = "forwardMessage", decode::message;

    /// Forwards several messages. Some may have been forwarded although the call was refused.
    /// See <https://core.telegram.org/bots/api#forwardmessages>.
    forward_messages(ForwardMessagesParams) -> Vec<MessageId> = "forwardMessages", decode::message_ids;

    /// Copies a message. See <https://core.telegram.org/bots/api#copymessage>.
    copy_message(CopyMessageParams) -> MessageId = "copyMessage", decode::message_id;

    /// Copies several messages. Some may have been copied although the call was refused.
    /// See <https://core.telegram.org/bots/api#copymessages>.
    copy_messages(CopyMessagesParams) -> Vec<MessageId> = "copyMessages", decode::message_ids;

    /// Sends a location. See <https://core.telegram.org/bots/api#sendlocation>.
    send_location(SendLocationParams) -> Message = "sendLocation", decode::message;

    /// Sends a venue. See <https://core.telegram.org/bots/api#sendvenue>.
    send_venue(SendVenueParams) -> Message = "sendVenue", decode::message;

    /// Sends a contact. See <https://core.telegram.org/bots/api#sendcontact>.
    send_contact(SendContactParams) -> Message = "sendContact", decode::message;

    /// Sends an animated emoji with a random value. See <https://core.telegram.org/bots/api#senddice>.
    send_dice(SendDiceParams) -> Message = "sendDice", decode::message;

    /// Sends an invoice. See <https://core.telegram.org/bots/api#sendinvoice>.
    send_invoice(SendInvoiceParams) -> Message = "sendInvoice", decode::message;

    /// Shows an action, such as "typing", for 5 seconds or until the next message.
    /// See <https://core.telegram.org/bots/api#sendchataction>.
    send_chat_action(SendChatActionParams) -> bool = "sendChatAction", decode::boolean;

    /// Sets the reactions of the bot to a message. See <https://core.telegram.org/bots/api#setmessagereaction>.
    set_message_reaction(SetMessageReactionParams) -> bool = "setMessageReaction", decode::boolean;

    /// Edits a caption. See <https://core.telegram.org/bots/api#editmessagecaption>.
    edit_message_caption(EditMessageCaptionParams) -> MessageOrBool =
        "editMessageCaption", decode::message_or_bool;

    /// Edits the buttons under a message. See <https://core.telegram.org/bots/api#editmessagereplymarkup>.
    edit_message_reply_markup(EditMessageReplyMarkupParams) -> MessageOrBool =
        "editMessageReplyMarkup", decode::message_or_bool;

    /// Closes a poll of the bot. See <https://core.telegram.org/bots/api#stoppoll>.
    stop_poll(StopPollParams) -> Poll = "stopPoll", decode::poll;

    /// Deletes a message. See <https://core.telegram.org/bots/api#deletemessage>.
    delete_message(DeleteMessageParams) -> bool = "deleteMessage", decode::boolean;

    /// Deletes up to 100 messages. See <https://core.telegram.org/bots/api#deletemessages>.
    delete_messages(DeleteMessagesParams) -> bool = "deleteMessages", decode::boolean;

    /// Answers the press of a button. See <https://core.telegram.org/bots/api#answercallbackquery>.
    answer_callback_query(AnswerCallbackQueryParams) -> bool = "answerCallbackQuery", decode::boolean;

    /// Answers an inline query. See <https://core.telegram.org/bots/api#answerinlinequery>.
    answer_inline_query(AnswerInlineQueryParams) -> bool = "answerInlineQuery", decode::boolean;

    /// Answers a shipping query. See <https://core.telegram.org/bots/api#answershippingquery>.
    answer_shipping_query(AnswerShippingQueryParams) -> bool = "answerShippingQuery", decode::boolean;

    /// Answers a pre-checkout query, within 10 seconds.
    /// See <https://core.telegram.org/bots/api#answerprecheckoutquery>.
    answer_pre_checkout_query(AnswerPreCheckoutQueryParams) -> bool =
        "answerPreCheckoutQuery", decode::boolean;

    /// Returns where a file can be downloaded. See <https://core.telegram.org/bots/api#getfile>.
    get_file(GetFileParams) -> File = "getFile", decode::file;

    /// Returns the profile pictures of a user. See <https://core.telegram.org/bots/api#getuserprofilephotos>.
    get_user_profile_photos(GetUserProfilePhotosParams) -> UserProfilePhotos =
        "getUserProfilePhotos", decode::user_profile_photos;

    /// Returns what is known of a chat. See <https://core.telegram.org/bots/api#getchat>.
    get_chat(GetChatParams) -> ChatFullInfo = "getChat", decode::chat;

    /// Returns a member of a chat. See <https://core.telegram.org/bots/api#getchatmember>.
    get_chat_member(GetChatMemberParams) -> ChatMember = "getChatMember", decode::chat_member;

    /// Returns the administrators of a chat. See <https://core.telegram.org/bots/api#getchatadministrators>.
    get_chat_administrators(GetChatAdministratorsParams) -> Vec<ChatMember> =
        "getChatAdministrators", decode::chat_members;

    /// Returns the number of members of a chat. See <https://core.telegram.org/bots/api#getchatmembercount>.
    get_chat_member_count(GetChatMemberCountParams) -> u32 = "getChatMemberCount", decode::count;

    /// Bans a member. See <https://core.telegram.org/bots/api#banchatmember>.
    ban_chat_member(BanChatMemberParams) -> bool = "banChatMember", decode::boolean;

    /// Lifts a ban. See <https://core.telegram.org/bots/api#unbanchatmember>.
    unban_chat_member(UnbanChatMemberParams) -> bool = "unbanChatMember", decode::boolean;

    /// Restricts a member. See <https://core.telegram.org/bots/api#restrictchatmember>.
    restrict_chat_member(RestrictChatMemberParams) -> bool = "restrictChatMember", decode::boolean;

    /// Lets a user in who asked to join. See <https://core.telegram.org/bots/api#approvechatjoinrequest>.
    approve_chat_join_request(ApproveChatJoinRequestParams) -> bool =
        "approveChatJoinRequest", decode::boolean;

    /// Turns a user away who asked to join. See <https://core.telegram.org/bots/api#declinechatjoinrequest>.
    decline_chat_join_request(DeclineChatJoinRequestParams) -> bool =
        "declineChatJoinRequest", decode::boolean;

    /// Creates an invite link. See <https://core.telegram.org/bots/api#createchatinvitelink>.
    create_chat_invite_link(CreateChatInviteLinkParams) -> ChatInviteLink =
        "createChatInviteLink", decode::chat_invite_link;

    /// Pins a message. See <https://core.telegram.org/bots/api#pinchatmessage>.
    pin_chat_message(PinChatMessageParams) -> bool = "pinChatMessage", decode::boolean;

    /// Unpins a message. See <https://core.telegram.org/bots/api#unpinchatmessage>.
    unpin_chat_message(UnpinChatMessageParams) -> bool = "unpinChatMessage", decode::boolean;

    /// Leaves a chat. See <https://core.telegram.org/bots/api#leavechat>.
    leave_chat(LeaveChatParams) -> bool = "leaveChat", decode::boolean;

    /// Sets the commands that clients show. See <https://core.telegram.org/bots/api#setmycommands>.
    set_my_commands(SetMyCommandsParams) -> bool = "setMyCommands", decode::boolean;

    /// Returns the commands that clients show. See <https://core.telegram.org/bots/api#getmycommands>.
    get_my_commands(GetMyCommandsParams) -> Vec<BotCommand> = "getMyCommands", decode::bot_commands;

    /// Removes the commands that clients show. See <https://core.telegram.org/bots/api#deletemycommands>.
    delete_my_commands(DeleteMyCommandsParams) -> bool = "deleteMyCommands", decode::boolean;

    /// Removes the webhook, so that long polling works.
    /// See <https://core.telegram.org/bots/api#deletewebhook>.
    delete_webhook(DeleteWebhookParams) -> bool = "deleteWebhook", decode::boolean;
}
