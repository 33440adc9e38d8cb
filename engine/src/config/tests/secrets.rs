//! Secrets are in no message, whatever goes wrong.

use super::*;

const SECRET: &str = "hunter2";

#[test]
fn a_secret_is_in_no_output_of_a_good_configuration() {
    let url = "https://user:hunter2@x.example/hunter2?hunter2";
    let loaded = flags(&["-w", url, "-i", "i", "-c", SECRET]).load().unwrap();
    let own = loaded.config.webhooks[0].clone().credentials.unwrap();
    assert_eq!(own.secret.reveal(), SECRET);
    assert!(!format!("{loaded:?}").contains(SECRET), "{loaded:?}");
    let text = loaded.config.describe();
    assert!(!text.contains(SECRET), "{text}");
    assert!(text.contains("# webhook.url = \"https://x.example/(hidden)\"  # --webhook"), "{text}");
    assert!(
        text.contains("# webhook.client_secret = (hidden)  # --oauth2-client-secret"),
        "{text}"
    );
}

#[test]
fn a_secret_is_in_no_error() {
    let starts = [
        flags(&["-c", SECRET]),
        flags(&["-c", SECRET, "-i", "i", "--oauth2-client-secret-file", "x"]),
        flags(&["-c", SECRET, "--no-such-flag"]),
        flags(&["-c", "--hunter2", "--no-such-flag"]),
        flags(&["-c--hunter2", "--no-such-flag"]),
        flags(&["--oauth2-client-secrt=hunter2"]),
        flags(&["--oauth2-client-secrt", SECRET]),
        flags(&["-w", "hunter2://x", "-c", SECRET]),
        flags(&["-p", "--peer-pool-secret", SECRET, "--peer-port=x"]),
        file("peers.pool_secret = ['hunter2']"),
        env("SENTRYPEER_OAUTH2_CLIENT_SECRET", SECRET),
        env("SENTRYPEER_OAUTH2_CLIENT_SECRT", SECRET).args(&["-t", "x"]),
        env("SENTRYPEER_WEBHOOK_URL", "ftp://hunter2/"),
        file("webhook.client_secret = ['hunter2']"),
        file("webhook.client_secret = 'hunter2"),
        file("webhook.client_secret = hunter2"),
        file("webhook.client_secret = { hunter2 = 'hunter2' }"),
        file("webhook.url = 'hunter2'\nwebhook.client_secret = 'hunter2'"),
    ];
    for start in &starts {
        let error = start.load().expect_err("this must not load");
        assert!(!error.to_string().contains(SECRET), "{error}");
        assert!(!format!("{error:?}").contains(SECRET), "{error:?}");
    }
}

#[test]
fn a_secret_in_a_file_is_read_without_its_line_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    let path = path.to_str().unwrap();
    let hook = |args: &[&str]| flags(&["-w", "https://x.example", "-i", "i"]).args(args);
    for (content, expected) in
        [("hunter2", "hunter2"), ("hunter2\n", "hunter2"), ("a b \r\n", "a b ")]
    {
        fs::write(path, content).unwrap();
        for start in [
            hook(&["--oauth2-client-secret-file", path]),
            hook(&[]).env("SENTRYPEER_OAUTH2_CLIENT_SECRET_FILE", path),
            hook(&[]).file(format!("webhook.client_secret_file = '{path}'")),
        ] {
            let config = start.config();
            let own = config.webhooks[0].credentials.as_ref().unwrap();
            assert_eq!(own.secret.reveal(), expected);
            let text = config.describe();
            assert!(!text.contains(expected), "{text}");
            assert!(text.contains(&format!("webhook.client_secret_file = \"{path}\"")), "{text}");
        }
    }
}

#[test]
fn a_secret_file_that_gives_no_secret_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    let path = path.to_str().unwrap();
    let start = || flags(&["-i", "i", "--oauth2-client-secret-file", path]);
    assert!(start().error().starts_with("--oauth2-client-secret-file: cannot read "));
    for (content, message) in [
        (b" \n".to_vec(), "is empty; write the secret into it"),
        (vec![b'x'; 8193], "has more than 8192 bytes; is it the right file?"),
        (vec![0xff], "the text is not UTF-8"),
    ] {
        fs::write(path, content).unwrap();
        assert!(start().error().ends_with(message), "{}", start().error());
    }
}

#[test]
fn the_secret_comes_from_one_place_only() {
    let both = file("webhook.client_secret = 's'").env("SENTRYPEER_OAUTH2_CLIENT_SECRET_FILE", "x");
    assert_eq!(
        both.error(),
        "SENTRYPEER_OAUTH2_CLIENT_SECRET_FILE: both this and config.toml:1:25 give it; \
         leave one out, or set it to nothing"
    );
    let start = both.args(&["--oauth2-client-secret-file=", "-i", "i", "-w", "https://x.example"]);
    assert!(start.config().webhooks[0].credentials.is_some());
}

#[test]
fn a_login_at_nats_is_one_of_three() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    fs::write(&path, "hunter2\n").unwrap();
    let path = path.to_str().unwrap();
    for (kind, user) in [("password", "--nats-user=u"), ("token", "-v"), ("credentials", "-v")] {
        let flag = format!("--nats-{kind}-file={path}");
        let config = flags(&["--nats=nats://x", user, &flag]).config();
        let (NatsLogin::Password { password: secret, .. }
        | NatsLogin::Token(secret, _)
        | NatsLogin::Credentials(secret, _)) = &config.nats.as_ref().unwrap().login
        else {
            panic!("{kind}: {config:?}");
        };
        assert_eq!(secret.reveal(), SECRET);
        let text = config.describe();
        assert!(text.contains(&format!("nats.{kind}_file = \"{path}\"")), "{text}");
        assert!(!format!("{text} {config:?}").contains(SECRET), "{text}");
    }
    for (args, said) in [
        (["--nats-user=u", "-v"], "--nats-user: has no effect alone; set nats.password_file"),
        (["--nats-password-file=x", "-v"], "--nats-password-file: has no effect alone"),
        (
            ["--nats-token-file=x", "--nats-credentials-file=y"],
            "--nats-credentials-file: both this and --nats-token-file give it",
        ),
    ] {
        let error = flags(&["--nats=nats://x"]).args(&args).error();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
#[cfg_attr(not(feature = "nats"), ignore = "this build has no NATS")]
fn what_is_no_server_of_nats_is_refused_and_not_repeated() {
    let error = flags(&["--nats=nats://u:hunter2@x"]).error();
    assert!(error.contains("--nats: this is no server of NATS: a user or a token"), "{error}");
    assert!(!error.contains(SECRET), "{error}");
    let error = flags(&["--nats=nats://x", "--nats-subject=a.*"]).error();
    assert!(error.contains("\"a.*\" is no subject"), "{error}");
}

#[test]
fn credentials_come_in_pairs() {
    assert_eq!(
        flags(&["-c", "s"]).error(),
        "--oauth2-client-secret: has no effect alone; set webhook.client_id (--oauth2-client-id) \
         too, or neither"
    );
    assert_eq!(
        flags(&["-i", "i"]).error(),
        "--oauth2-client-id: has no effect alone; set webhook.client_secret or a file with it too, \
         or neither"
    );
}
