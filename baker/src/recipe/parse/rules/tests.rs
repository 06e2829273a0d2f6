use super::*;

/// A rule, what it takes, and what it refuses.
type Case = (
    fn(&str) -> Rule,
    &'static [&'static str],
    &'static [&'static str],
);

#[test]
fn shapes_are_taken_or_refused() {
    let cases: &[Case] = &[
        (
            image_name,
            &["app", "web (blue) [1]/x'@_"],
            &["", "app:1", "äpp"],
        ),
        (
            ami_id,
            &["ami-12345678", "ami-0123456789abcdef0"],
            &["ami-", "ami-1234567", "ami-0123456789ABCDEF0", "i-12345678"],
        ),
        (subnet_id, &["subnet-12345678"], &["subnet", "ami-12345678"]),
        (
            ubuntu_release,
            &["18.04", "22.04"],
            &["18", "bionic", "18.4", "18-04"],
        ),
        (ssm_parameter, &["/a/b-c_d.e", "/a:3"], &["a/b", "/a b"]),
        (
            instance_type,
            &["t3.medium", "m5d.metal", "u-6tb1.56xlarge"],
            &["t3", "t3.", ".medium", "T3.medium", "t3 medium"],
        ),
        (
            cidr,
            &["203.0.113.7/32", "10.0.0.0/8", "128.0.0.0/1"],
            &[
                "203.0.113.7",
                "0.0.0.0/0",
                "10.0.0.1/8",
                "10.0.0.0/33",
                "::/0",
                "300.1.1.1/32",
            ],
        ),
        (
            account,
            &["www-data", "_apt", "deploy"],
            &["", "-x", "0", "a b", "root;"],
        ),
        (
            package,
            &["nginx", "g++", "libc6:i386", "nginx=1.14.0-0ubuntu1.7"],
            &["", "--purge", "nginx curl", "$(id)"],
        ),
        (
            unit,
            &["nginx", "getty@tty1.service", "logrotate.timer"],
            &["", "-x", "a b", "a/b"],
        ),
        (
            absolute_file,
            &["/etc/nginx/nginx.conf"],
            &["etc/x", "/etc/../x", "/etc/", "/a\nb"],
        ),
        (environment_name, &["PATH", "_x1"], &["1X", "A-B", ""]),
        (
            url,
            &["http://127.0.0.1/health", "https://localhost:8443/"],
            &[
                "127.0.0.1",
                "http://",
                "http:///x",
                "ftp://x/",
                "http://a b/",
            ],
        ),
        (tag_key, &["team"], &["", "aws:x", "AWS:x", "baker:bake-id"]),
    ];
    for (rule, taken, refused) in cases {
        for value in *taken {
            assert_eq!(rule(value), Ok(()), "{value}");
        }
        for value in *refused {
            assert!(rule(value).is_err(), "{value}");
        }
    }
}

#[test]
fn modes_are_octal_strings() {
    assert_eq!(mode("0750"), Ok(0o750));
    assert_eq!(mode("644"), Ok(0o644));
    assert_eq!(mode("4755"), Ok(0o4755));
    for wrong in ["", "75", "0o750", "0788", "rwx", "07500", "+750"] {
        assert!(mode(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn time_spans_have_units_and_limits() {
    assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
    for wrong in ["45", "", "soon", "0s", "500ms", "3days"] {
        assert!(duration(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_longest_name_fits_ec2_with_what_is_added() {
    assert!(image_name(&"n".repeat(MAX_NAME_CHARACTERS)).is_ok());
    assert!(image_name(&"n".repeat(MAX_NAME_CHARACTERS + 1)).is_err());
}
