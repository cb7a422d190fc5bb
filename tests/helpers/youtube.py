"""Answers of YouTube's player, and the reason in which each should result."""

from faceanim.schemas import Reason

YOUTUBE = "https://www.youtube.com/watch?v="
HINT = "This helps protect our community. Learn more"
COUNTRY = "The uploader has not made this video available in your country"


def error_screen(reason, subreason):
    """Return the status of a video whose player shows an error."""
    message = {"reason": {"simpleText": reason}, "subreason": {"simpleText": subreason}}
    return {"errorScreen": {"playerErrorMessageRenderer": message}}


ANSWERS = [
    ({"reason": f"Sign in to confirm you’re not a bot. {HINT}"}, Reason.BOT_CHECK, True),
    ({"reason": "Stop", "errorScreen": {"playerCaptchaViewModel": {"x": 1}}}, Reason.BOT_CHECK, True),
    (
        error_screen("Video unavailable", "This content isn't available, try again later."),
        Reason.RATE_LIMITED,
        True,
    ),
    (
        {"reason": "Sign in to confirm your age. This video may be inappropriate for some users."},
        Reason.AGE_RESTRICTED,
        False,
    ),
    (
        error_screen("Private video", "Sign in if you've been granted access to this video"),
        Reason.PRIVATE,
        False,
    ),
    (error_screen("Video unavailable", "This video is private"), Reason.PRIVATE, False),
    (error_screen("Video unavailable", COUNTRY), Reason.GEO_BLOCKED, False),
    (
        error_screen(
            "Video unavailable",
            "This video contains content from X, who has blocked it in your country on copyright grounds",
        ),
        Reason.GEO_BLOCKED,
        False,
    ),
    (
        error_screen("Video unavailable", "This video has been removed by the uploader"),
        Reason.REMOVED,
        False,
    ),
    (
        error_screen(
            "Video unavailable",
            "This video is no longer available because the YouTube account associated with this video "
            "has been terminated.",
        ),
        Reason.REMOVED,
        False,
    ),
    (
        {"reason": "Join this channel to get access to members-only content like this video."},
        Reason.LOGIN_REQUIRED,
        False,
    ),
    ({"reason": "This video requires payment to watch."}, Reason.LOGIN_REQUIRED, False),
    ({"reason": "Please sign in to view this video."}, Reason.LOGIN_REQUIRED, True),
    ({"reason": "The page needs to be reloaded."}, Reason.EXTRACTOR, True),
    ({"reason": "An unknown message."}, Reason.UNAVAILABLE, True),
    ({"reason": "Video unavailable"}, Reason.UNAVAILABLE, False),
    ({"reason": "An error occurred. Please try again later."}, Reason.UNAVAILABLE, True),
    ({}, Reason.EXTRACTOR, True),  # neither formats nor a message
]
"""Status of the player, reason, and whether the failure is transient.

The messages are YouTube's, as quoted in issues of yt-dlp and youtube-dl.
"""
