//! Logins with a server that asks for what it should not, or lets in whom it should not.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::*;

/// A connection over TLS whose server can be bound to.
fn covered() -> Secured {
    Secured {
        end_point: Some(vec![7; 32]),
        certificate_asked: false,
        certificate_shown: false,
    }
}

fn config() -> Config {
    Config::new("localhost", "app").with_password("secret")
}

fn request(kind: i32, body: &[u8]) -> Vec<u8> {
    let length = i32::try_from(body.len() + 8).unwrap();
    [b"R", &length.to_be_bytes()[..], &kind.to_be_bytes(), body].concat()
}

/// What comes of a login whose server sends this, and what the server heard.
async fn login(
    config: &Config,
    secured: Option<&Secured>,
    requests: &[Vec<u8>],
) -> (Result<()>, Vec<u8>) {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.write_all(&requests.concat()).await.unwrap();
    // More does not come, so a login that goes on when it should not ends too.
    theirs.shutdown().await.unwrap();
    let mut channel = Channel::from(ours);
    let result = authenticate(&mut channel, secured, config, &config.endpoints[0]).await;
    // What was put and not yet written counts as told.
    let _ = channel.writer().flush().await;
    drop(channel);
    let mut heard = Vec::new();
    theirs.read_to_end(&mut heard).await.unwrap();
    (result, heard)
}

fn text(error: Result<()>) -> String {
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error:?}");
    assert!(!format!("{error:?}").contains("secret"));
    error.to_string()
}

const BOTH: &[u8] = b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0";
const PLAIN: &[u8] = b"SCRAM-SHA-256\0\0";

#[tokio::test]
async fn a_method_that_is_not_allowed_is_told_nothing() {
    let scram_only = config().with_require_auth([AuthMethod::ScramSha256]);
    let bound = config().with_channel_binding(ChannelBinding::Require);
    let password_only = config().with_require_auth([AuthMethod::Password]);
    let secured = covered();
    for (config, kind, body, what) in [
        (
            &scram_only,
            CLEARTEXT,
            &b""[..],
            "the method password, which require_auth does not allow",
        ),
        (
            &scram_only,
            MD5,
            b"salt",
            "the method md5, which require_auth does not allow",
        ),
        (
            &password_only,
            SASL,
            BOTH,
            "the method scram-sha-256, which require_auth",
        ),
        (
            &bound,
            CLEARTEXT,
            b"",
            "the method password, which has no channel binding",
        ),
        (
            &bound,
            MD5,
            b"salt",
            "the method md5, which has no channel binding",
        ),
        (&bound, SASL, PLAIN, "offers no channel binding"),
        (&scram_only, OK, b"", "asks for no proof"),
        (&bound, OK, b"", "let us in without channel binding"),
    ] {
        let (result, heard) = login(config, Some(&secured), &[request(kind, body)]).await;
        assert!(text(result).contains(what), "{what}");
        assert_eq!(heard, b"", "{what}");
    }
    // Those who do allow it.
    let (result, heard) = login(
        &config(),
        None,
        &[request(CLEARTEXT, b""), request(OK, b"")],
    )
    .await;
    result.unwrap();
    assert_eq!(heard, b"p\0\0\0\x0bsecret\0");
}

/// The first message of SCRAM names the mechanism, and what we know of channel binding.
#[tokio::test]
async fn the_first_message_says_what_we_could_and_what_the_server_offered() {
    let unbindable = Secured {
        end_point: None,
        ..covered()
    };
    use ChannelBinding::{Disable, Prefer};
    for (binding, secured, offered, mechanism, header) in [
        (
            Prefer,
            Some(covered()),
            BOTH,
            SCRAM_SHA_256_PLUS,
            "p=tls-server-end-point,,",
        ),
        (Prefer, Some(covered()), PLAIN, SCRAM_SHA_256, "y,,"),
        (
            Prefer,
            Some(unbindable.clone()),
            PLAIN,
            SCRAM_SHA_256,
            "y,,",
        ),
        (Disable, Some(covered()), BOTH, SCRAM_SHA_256, "n,,"),
        (
            Disable,
            Some(unbindable.clone()),
            BOTH,
            SCRAM_SHA_256,
            "n,,",
        ),
        (Prefer, None, PLAIN, SCRAM_SHA_256, "n,,"),
        (Disable, None, PLAIN, SCRAM_SHA_256, "n,,"),
    ] {
        let config = config().with_channel_binding(binding);
        let requests = [request(SASL, offered), request(SASL_FINAL, b"v=AAAA")];
        let (result, heard) = login(&config, secured.as_ref(), &requests).await;
        result.unwrap_err();
        let heard = heard.get(5..).unwrap();
        let end = heard.iter().position(|byte| *byte == 0).unwrap();
        assert_eq!(&heard[..end], mechanism.as_bytes());
        assert!(
            heard[end + 5..].starts_with(header.as_bytes()),
            "{binding:?} {offered:?}"
        );
    }
    for (secured, what) in [
        (None, "offers channel binding on a connection without TLS"),
        (
            Some(unbindable),
            "signed in a way that has no channel binding",
        ),
    ] {
        let (result, heard) = login(&config(), secured.as_ref(), &[request(SASL, BOTH)]).await;
        assert!(text(result).contains(what));
        assert_eq!(heard, b"");
    }
}

#[tokio::test]
async fn a_server_that_has_not_proved_itself_does_not_let_us_in() {
    for config in [
        config(),
        config().with_require_auth([AuthMethod::ScramSha256, AuthMethod::None]),
    ] {
        let requests = [request(SASL, PLAIN), request(OK, b"")];
        let (result, _) = login(&config, None, &requests).await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Protocol);
    }
}
