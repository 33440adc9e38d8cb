//! Where events are posted. A table `webhooks.NAME` of the file has the same keys for another one.

use super::super::setting::{Fallback, Group, Id, Kind, Setting};

/// In the order of their ids.
pub(super) const SETTINGS: &[Setting] = &[
    Setting::new(Id::Webhook, Group::Webhooks, "webhook")
        .key("webhook.url")
        .short('w')
        .env(&["SENTRYPEER_WEBHOOK_URL", "SENTRYPEER_WEBHOOK"])
        .takes(Kind::Value, "URL")
        .secret()
        .help("POST every event to this URL"),
    Setting::new(Id::WebhookUrlFile, Group::Webhooks, "webhook-url-file")
        .key("webhook.url_file")
        .env(&["SENTRYPEER_WEBHOOK_URL_FILE"])
        .takes(Kind::Value, "FILE")
        .help("File that holds the URL, where that is a secret"),
    Setting::new(Id::WebhookForm, Group::Webhooks, "webhook-form")
        .key("webhook.form")
        .env(&["SENTRYPEER_WEBHOOK_FORM"])
        .takes(Kind::Value, "FORM")
        .or(Fallback::Text("object"))
        .help("What a request carries: object (one event, as SentryPeer 4.x), array, lines, cloudevent or cloudevent-batch"),
    Setting::new(Id::WebhookEvents, Group::Webhooks, "webhook-events")
        .key("webhook.events")
        .env(&["SENTRYPEER_WEBHOOK_EVENTS"])
        .takes(Kind::Number, "N")
        .or(Fallback::Text("500"))
        .help("Most events in a batch (1 to 10000)"),
    Setting::new(Id::WebhookGzip, Group::Webhooks, "webhook-gzip")
        .key("webhook.gzip")
        .env(&["SENTRYPEER_WEBHOOK_GZIP"])
        .help("Pack what is posted"),
    Setting::new(Id::WebhookSigningSecretFile, Group::Webhooks, "webhook-signing-secret-file")
        .key("webhook.signing_secret_file")
        .env(&["SENTRYPEER_WEBHOOK_SIGNING_SECRET_FILE"])
        .takes(Kind::Value, "FILE")
        .help("File with the secret that signs each request (HMAC-SHA256)"),
    Setting::new(Id::WebhookCaFile, Group::Webhooks, "webhook-ca-file")
        .key("webhook.ca_file")
        .env(&["SENTRYPEER_WEBHOOK_CA_FILE"])
        .takes(Kind::Value, "FILE")
        .or(Fallback::Computed("the system's"))
        .help("Certificates (PEM) to trust"),
    Setting::new(Id::WebhookDeadLetterFile, Group::Webhooks, "webhook-dead-letter-file")
        .key("webhook.dead_letter_file")
        .env(&["SENTRYPEER_WEBHOOK_DEAD_LETTER_FILE"])
        .takes(Kind::Value, "FILE")
        .or(Fallback::Computed("sentrypeer_NAME_refused.json beside the database"))
        .help("Where events go that the receiver refuses for good"),
    Setting::new(Id::ClientId, Group::Webhooks, "oauth2-client-id")
        .key("webhook.client_id")
        .short('i')
        .env(&["SENTRYPEER_OAUTH2_CLIENT_ID"])
        .takes(Kind::Value, "ID")
        .help("OAuth 2 client id for the webhook"),
    Setting::new(Id::ClientSecret, Group::Webhooks, "oauth2-client-secret")
        .key("webhook.client_secret")
        .short('c')
        .env(&["SENTRYPEER_OAUTH2_CLIENT_SECRET"])
        .takes(Kind::Value, "SECRET")
        .secret()
        .help("OAuth 2 client secret for the webhook. Other users of this machine can see it on a command line: prefer the file"),
    Setting::new(Id::ClientSecretFile, Group::Webhooks, "oauth2-client-secret-file")
        .key("webhook.client_secret_file")
        .env(&["SENTRYPEER_OAUTH2_CLIENT_SECRET_FILE"])
        .takes(Kind::Value, "FILE")
        .help("File that holds the OAuth 2 client secret"),
    Setting::new(Id::WebhookTokenUrl, Group::Webhooks, "oauth2-token-url")
        .key("webhook.token_url")
        .env(&["SENTRYPEER_OAUTH2_TOKEN_URL"])
        .takes(Kind::Value, "URL")
        .or(Fallback::Text("https://authz.sentrypeer.com/oauth/token"))
        .help("Where the tokens for the webhook come from: https, or this machine"),
    Setting::new(Id::WebhookAudience, Group::Webhooks, "oauth2-audience")
        .key("webhook.audience")
        .env(&["SENTRYPEER_OAUTH2_AUDIENCE"])
        .takes(Kind::Value, "TEXT")
        .or(Fallback::Text("https://sentrypeer.com/api"))
        .help("For whom these tokens are"),
    Setting::new(Id::WebhookMinVerification, Group::Webhooks, "webhook-min-verification")
        .key("webhook.min_verification")
        .env(&["SENTRYPEER_WEBHOOK_MIN_VERIFICATION"])
        .takes(Kind::Value, "LEVEL")
        .or(Fallback::Text("unverified"))
        .help("Post only events of sources that are proven so well"),
    Setting::new(Id::WebhookMethods, Group::Webhooks, "webhook-methods")
        .key("webhook.methods")
        .env(&["SENTRYPEER_WEBHOOK_METHODS"])
        .takes(Kind::List, "METHOD")
        .help("Post only these methods; may be repeated"),
    Setting::new(Id::WebhookTransports, Group::Webhooks, "webhook-transports")
        .key("webhook.transports")
        .env(&["SENTRYPEER_WEBHOOK_TRANSPORTS"])
        .takes(Kind::List, "NAME")
        .help("Post only what came over these: UDP, TCP, TLS; may be repeated"),
    Setting::new(Id::WebhookWithNumber, Group::Webhooks, "webhook-with-number")
        .key("webhook.with_number")
        .env(&["SENTRYPEER_WEBHOOK_WITH_NUMBER"])
        .help("Post only events that have a number"),
    Setting::new(Id::WebhookWithoutAllowed, Group::Webhooks, "webhook-without-allowed")
        .key("webhook.without_allowed")
        .env(&["SENTRYPEER_WEBHOOK_WITHOUT_ALLOWED"])
        .help("Leave out what is on the allow-list, which is otherwise posted and marked"),
];
