//! Which methods may be executed twice, and what a repetition may answer. Pure.
//!
//! The Bot API has no way to make a call idempotent, so every method is listed in one of two tables. A method belongs
//! to [`REPEATABLE`] if executing it twice leaves everything as executing it once does, and if the second answer cannot
//! be taken for a failure of the first. Everything else, and every method that is not known, is never repeated.

use std::time::Duration;

use actogram_actors::Backoff;

/// Methods of <https://core.telegram.org/bots/api#available-methods> that may be repeated.
const REPEATABLE: &[&str] = &[
    // Reading.
    "getAvailableGifts",
    "getBusinessAccountGifts",
    "getBusinessAccountStarBalance",
    "getBusinessConnection",
    "getChat",
    "getChatAdministrators",
    "getChatGifts",
    "getChatMember",
    "getChatMemberCount",
    "getChatMenuButton",
    "getCustomEmojiStickers",
    "getFile",
    "getForumTopicIconStickers",
    "getGameHighScores",
    "getManagedBotAccessSettings",
    "getManagedBotToken",
    "getMe",
    "getMyCommands",
    "getMyDefaultAdministratorRights",
    "getMyDescription",
    "getMyName",
    "getMyShortDescription",
    "getMyStarBalance",
    "getStarTransactions",
    "getStickerSet",
    "getUpdates",
    "getUserChatBoosts",
    "getUserGifts",
    "getUserPersonalChatMessages",
    "getUserProfileAudios",
    "getUserProfilePhotos",
    "getWebhookInfo",
    // Setting something to a value.
    "banChatMember",
    "banChatSenderChat",
    "deleteChatStickerSet",
    "deleteMyCommands",
    "editChatInviteLink",
    "editChatSubscriptionInviteLink",
    "editUserStarSubscription",
    "pinChatMessage",
    "promoteChatMember",
    "readBusinessMessage",
    "restrictChatMember",
    "sendChatAction",
    "sendMessageDraft",
    "sendRichMessageDraft",
    "setBusinessAccountBio",
    "setBusinessAccountGiftSettings",
    "setBusinessAccountName",
    "setBusinessAccountUsername",
    "setChatAdministratorCustomTitle",
    "setChatDescription",
    "setChatMemberTag",
    "setChatMenuButton",
    "setChatPermissions",
    "setChatStickerSet",
    "setChatTitle",
    "setCustomEmojiStickerSetThumbnail",
    "setGameScore",
    "setManagedBotAccessSettings",
    "setMessageReaction",
    "setMyCommands",
    "setMyDefaultAdministratorRights",
    "setMyDescription",
    "setMyName",
    "setMyShortDescription",
    "setPassportDataErrors",
    "setStickerEmojiList",
    "setStickerKeywords",
    "setStickerMaskPosition",
    "setStickerPositionInSet",
    "setStickerSetThumbnail",
    "setStickerSetTitle",
    "setUserEmojiStatus",
    "unbanChatMember",
    "unbanChatSenderChat",
    "unpinAllChatMessages",
    "unpinAllForumTopicMessages",
    "unpinAllGeneralForumTopicMessages",
    "unpinChatMessage",
    "verifyChat",
    "verifyUser",
    // Topics: a second time changes nothing, and says so.
    "closeForumTopic",
    "closeGeneralForumTopic",
    "editForumTopic",
    "editGeneralForumTopic",
    "hideGeneralForumTopic",
    "reopenForumTopic",
    "reopenGeneralForumTopic",
    "unhideGeneralForumTopic",
    // Editing and deleting messages.
    "deleteAllMessageReactions",
    "deleteBusinessMessages",
    "deleteMessage",
    "deleteMessageReaction",
    "deleteMessages",
    "editMessageCaption",
    "editMessageChecklist",
    "editMessageLiveLocation",
    "editMessageMedia",
    "editMessageReplyMarkup",
    "editMessageText",
    // Answering a query, which ends it.
    "answerCallbackQuery",
    "answerInlineQuery",
    "answerPreCheckoutQuery",
    "answerShippingQuery",
];

/// Methods that are never repeated by themselves: they send, create or hand over something, drop updates, leave a trace
/// each time, or answer the second time with a refusal that looks as if nothing had happened.
#[cfg(test)]
const ONCE: &[&str] = &[
    "addStickerToSet",
    "answerChatJoinRequestQuery",
    "answerGuestQuery",
    "answerWebAppQuery",
    "approveChatJoinRequest",
    "approveSuggestedPost",
    "close",
    "convertGiftToStars",
    "copyMessage",
    "copyMessages",
    "createChatInviteLink",
    "createChatSubscriptionInviteLink",
    "createForumTopic",
    "createInvoiceLink",
    "createNewStickerSet",
    "declineChatJoinRequest",
    "declineSuggestedPost",
    "deleteChatPhoto",
    "deleteForumTopic",
    "deleteStickerFromSet",
    "deleteStickerSet",
    "deleteStory",
    "deleteWebhook",
    "editStory",
    "exportChatInviteLink",
    "forwardMessage",
    "forwardMessages",
    "giftPremiumSubscription",
    "leaveChat",
    "logOut",
    "postStory",
    "refundStarPayment",
    "removeBusinessAccountProfilePhoto",
    "removeChatVerification",
    "removeMyProfilePhoto",
    "removeUserVerification",
    "replaceManagedBotToken",
    "replaceStickerInSet",
    "repostStory",
    "revokeChatInviteLink",
    "savePreparedInlineMessage",
    "savePreparedKeyboardButton",
    "sendAnimation",
    "sendAudio",
    "sendChatJoinRequestWebApp",
    "sendChecklist",
    "sendContact",
    "sendDice",
    "sendDocument",
    "sendGame",
    "sendGift",
    "sendInvoice",
    "sendLivePhoto",
    "sendLocation",
    "sendMediaGroup",
    "sendMessage",
    "sendPaidMedia",
    "sendPhoto",
    "sendPoll",
    "sendRichMessage",
    "sendSticker",
    "sendVenue",
    "sendVideo",
    "sendVideoNote",
    "sendVoice",
    "setBusinessAccountProfilePhoto",
    "setChatPhoto",
    "setMyProfilePhoto",
    "setWebhook",
    "stopMessageLiveLocation",
    "stopPoll",
    "transferBusinessAccountStars",
    "transferGift",
    "upgradeGift",
    "uploadStickerFile",
];

/// Returns whether executing a method twice has the effect of executing it once. Whatever is not known to be harmless
/// counts as harmful.
pub(crate) fn may_be_repeated(method: &str) -> bool {
    // The server takes names in any case.
    REPEATABLE.iter().any(|name| name.eq_ignore_ascii_case(method))
}

/// Returns whether a refusal with this text, as the answer to a repetition after an unknown outcome, means that the
/// earlier attempt was executed, and the result of the method can say so: `true`.
pub(crate) fn repetition_found_it_done(method: &str, description: &str) -> bool {
    let method = method.to_ascii_lowercase();
    let description = description.to_ascii_lowercase();
    // An edit may answer with `true` instead of the message; `editMessageChecklist` may not.
    let edit = method.starts_with("edit")
        && !["editmessagechecklist"].contains(&&*method)
        && !method.contains("link");
    let setting = ["set", "close", "reopen", "hide", "unhide", "pin", "unpin"];
    if edit || setting.iter().any(|verb| method.starts_with(verb)) {
        // As a sentence or as a code, such as `TOPIC_NOT_MODIFIED`.
        return description.contains("not modified") || description.contains("not_modified");
    }
    match &*method {
        "deletemessage" => description.contains("message to delete not found"),
        "answercallbackquery" | "answerinlinequery" | "answershippingquery" | "answerprecheckoutquery" => {
            description.contains("query is too old")
        }
        _ => false,
    }
}

/// The pauses between the attempts of one call: short, because somebody waits for it.
pub(crate) fn pauses() -> Backoff {
    Backoff::new(Duration::from_millis(150), Duration::from_secs(1), 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every method of Bot API 10.1.
    const METHODS: &str = "getUpdates setWebhook deleteWebhook getWebhookInfo getMe logOut close sendMessage forwardMessage \
        forwardMessages copyMessage copyMessages sendPhoto sendLivePhoto sendAudio sendDocument sendVideo \
        sendAnimation sendVoice sendVideoNote sendPaidMedia sendMediaGroup sendLocation sendVenue \
        sendContact sendPoll sendChecklist sendDice sendMessageDraft sendChatAction setMessageReaction \
        getUserProfilePhotos getUserProfileAudios setUserEmojiStatus getFile banChatMember unbanChatMember \
        restrictChatMember promoteChatMember setChatAdministratorCustomTitle setChatMemberTag \
        banChatSenderChat unbanChatSenderChat setChatPermissions exportChatInviteLink createChatInviteLink \
        editChatInviteLink createChatSubscriptionInviteLink editChatSubscriptionInviteLink \
        revokeChatInviteLink approveChatJoinRequest declineChatJoinRequest answerChatJoinRequestQuery \
        sendChatJoinRequestWebApp setChatPhoto deleteChatPhoto setChatTitle setChatDescription \
        pinChatMessage unpinChatMessage unpinAllChatMessages leaveChat getChat getChatAdministrators \
        getChatMemberCount getChatMember getUserPersonalChatMessages setChatStickerSet deleteChatStickerSet \
        getForumTopicIconStickers createForumTopic editForumTopic closeForumTopic reopenForumTopic \
        deleteForumTopic unpinAllForumTopicMessages editGeneralForumTopic closeGeneralForumTopic \
        reopenGeneralForumTopic hideGeneralForumTopic unhideGeneralForumTopic \
        unpinAllGeneralForumTopicMessages answerCallbackQuery answerGuestQuery getUserChatBoosts \
        getBusinessConnection getManagedBotToken replaceManagedBotToken getManagedBotAccessSettings \
        setManagedBotAccessSettings setMyCommands deleteMyCommands getMyCommands setMyName getMyName \
        setMyDescription getMyDescription setMyShortDescription getMyShortDescription setMyProfilePhoto \
        removeMyProfilePhoto setChatMenuButton getChatMenuButton setMyDefaultAdministratorRights \
        getMyDefaultAdministratorRights getAvailableGifts sendGift giftPremiumSubscription verifyUser \
        verifyChat removeUserVerification removeChatVerification readBusinessMessage deleteBusinessMessages \
        setBusinessAccountName setBusinessAccountUsername setBusinessAccountBio \
        setBusinessAccountProfilePhoto removeBusinessAccountProfilePhoto setBusinessAccountGiftSettings \
        getBusinessAccountStarBalance transferBusinessAccountStars getBusinessAccountGifts getUserGifts \
        getChatGifts convertGiftToStars upgradeGift transferGift postStory repostStory editStory deleteStory \
        answerWebAppQuery savePreparedInlineMessage savePreparedKeyboardButton editMessageText \
        editMessageCaption editMessageMedia editMessageLiveLocation stopMessageLiveLocation \
        editMessageChecklist editMessageReplyMarkup stopPoll approveSuggestedPost declineSuggestedPost \
        deleteMessage deleteMessages deleteMessageReaction deleteAllMessageReactions sendSticker \
        getStickerSet getCustomEmojiStickers uploadStickerFile createNewStickerSet addStickerToSet \
        setStickerPositionInSet deleteStickerFromSet replaceStickerInSet setStickerEmojiList \
        setStickerKeywords setStickerMaskPosition setStickerSetTitle setStickerSetThumbnail \
        setCustomEmojiStickerSetThumbnail deleteStickerSet sendRichMessage sendRichMessageDraft \
        answerInlineQuery sendInvoice createInvoiceLink answerShippingQuery answerPreCheckoutQuery \
        getMyStarBalance getStarTransactions refundStarPayment editUserStarSubscription \
        setPassportDataErrors sendGame setGameScore getGameHighScores";

    #[test]
    fn every_method_is_in_exactly_one_table() {
        for method in METHODS.split_whitespace() {
            let tables = [REPEATABLE, ONCE].map(|table| table.iter().filter(|name| **name == method).count());

            assert_eq!(tables.iter().sum::<usize>(), 1, "{method}: {tables:?}");
        }
        assert_eq!(METHODS.split_whitespace().count(), REPEATABLE.len() + ONCE.len());
    }

    #[test]
    fn whatever_sends_or_creates_something_is_not_repeated() {
        let drafts = ["sendChatAction", "sendMessageDraft", "sendRichMessageDraft"];
        for method in METHODS.split_whitespace() {
            let makes = [
                "send", "forward", "copy", "create", "post", "transfer", "upgrade", "refund", "add",
            ];
            if makes.iter().any(|verb| method.starts_with(verb)) && !drafts.contains(&method) {
                assert!(!may_be_repeated(method), "{method}");
            }
        }
    }

    #[test]
    fn names_are_taken_in_any_case_and_unknown_ones_count_as_harmful() {
        assert!(may_be_repeated("getme") && may_be_repeated("EDITMESSAGETEXT"));
        assert!(
            !may_be_repeated("getEverythingTwice") && !may_be_repeated("sendmessage") && !may_be_repeated("")
        );
    }

    #[test]
    fn a_repetition_recognises_what_the_first_attempt_did() {
        let modified = "Bad Request: message is not modified: specified new message content and reply markup are exactly the same";
        let gone = "Bad Request: message to delete not found";
        let old = "Bad Request: query is too old and response timeout expired or query ID is invalid";

        for (method, text) in [
            ("editMessageText", modified),
            ("editMessageCaption", modified),
            ("setChatTitle", "Bad Request: chat title is not modified"),
            ("closeForumTopic", "Bad Request: TOPIC_NOT_MODIFIED"),
            ("deleteMessage", gone),
            ("answerCallbackQuery", old),
            ("answerInlineQuery", old),
        ] {
            assert!(repetition_found_it_done(method, text), "{method}");
        }
    }

    #[test]
    fn other_refusals_and_results_that_cannot_say_true_stay_refusals() {
        let modified = "Bad Request: message is not modified";
        for (method, text) in [
            ("editMessageText", "Bad Request: message to edit not found"),
            ("editMessageChecklist", modified),
            ("editChatInviteLink", modified),
            ("deleteMessage", "Bad Request: message can't be deleted"),
            ("answerCallbackQuery", "Bad Request: QUERY_ID_INVALID"),
            ("answerWebAppQuery", "Bad Request: query is too old"),
            ("sendMessage", modified),
        ] {
            assert!(!repetition_found_it_done(method, text), "{method}");
        }
    }
}
