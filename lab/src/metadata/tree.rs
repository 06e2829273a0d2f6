//! The metadata of one instance as a tree of paths, and how the service shows it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::notice::{Notice, NoticeAction};
use crate::records::{Instance, InstanceState};

/// Leaves by path, such as `meta-data/instance-id`.
pub(crate) struct Tree(BTreeMap<String, String>);

impl Tree {
    /// All that is said about `instance` without asking anybody else. `role` is the name under `iam/security-credentials/`.
    pub(crate) fn of(instance: &Instance, notice: Option<&Notice>) -> Self {
        let mut leaves = BTreeMap::new();
        let mut put =
            |path: &str, value: &str| drop(leaves.insert(path.to_owned(), value.to_owned()));
        let or_empty = |value: &Option<String>| value.clone().unwrap_or_default();
        let (mac, private_ip) = (or_empty(&instance.mac), or_empty(&instance.private_ip));
        for (name, value) in [
            ("ami-id", instance.image_id.as_str()),
            ("ami-launch-index", &instance.ami_launch_index.to_string()),
            ("hostname", &instance.private_dns_name),
            ("instance-action", "none"),
            ("instance-id", &instance.id),
            ("instance-life-cycle", "on-demand"),
            ("instance-type", &instance.instance_type),
            ("local-hostname", &instance.private_dns_name),
            ("local-ipv4", &private_ip),
            ("mac", &mac),
            ("placement/availability-zone", &instance.availability_zone),
            ("placement/region", &instance.region),
            ("reservation-id", &instance.reservation_id),
            ("security-groups", &instance.security_groups.join("\n")),
            ("services/domain", "amazonaws.com"),
            ("services/partition", "aws"),
        ] {
            put(&format!("meta-data/{name}"), value);
        }
        for (name, value) in [
            ("device-number", "0"),
            ("local-hostname", &instance.private_dns_name),
            ("local-ipv4s", &private_ip),
            ("mac", &mac),
            ("owner-id", &instance.account),
            (
                "security-group-ids",
                &instance.security_group_ids.join("\n"),
            ),
            ("subnet-id", &or_empty(&instance.subnet_id)),
            ("vpc-id", &or_empty(&instance.vpc_id)),
            ("vpc-ipv4-cidr-block", &or_empty(&instance.vpc_cidr)),
        ] {
            put(
                &format!("meta-data/network/interfaces/macs/{mac}/{name}"),
                value,
            );
        }
        if let (Some(name), Some(key)) = (&instance.key_name, &instance.public_key) {
            put("meta-data/public-keys/0/openssh-key", key.trim_end());
            put("meta-data/public-keys/", &format!("0={name}"));
        }
        if instance.instance_metadata_tags == "enabled" {
            for (key, value) in &instance.tags {
                put(&format!("meta-data/tags/instance/{key}"), value);
            }
        }
        if let (Some(profile), Some(role)) = (&instance.instance_profile_arn, &instance.role_name) {
            put("meta-data/iam/info", &info(profile));
            // The value is asked for when it is read; the name is what a listing shows.
            put(&format!("meta-data/iam/security-credentials/{role}"), "");
        }
        if instance.tags.contains_key("aws:autoscaling:groupName") {
            let leaving = notice
                .is_some_and(|notice| notice.action == NoticeAction::AutoscalingTerminate)
                || instance.state == InstanceState::ShuttingDown;
            put(
                "meta-data/autoscaling/target-lifecycle-state",
                if leaving { "Terminated" } else { "InService" },
            );
        }
        if let Some(notice) = notice {
            put_notice(&mut put, notice);
        }
        put("dynamic/instance-identity/document", &identity(instance));
        if let Some(user_data) = &instance.user_data_base64 {
            put("user-data", user_data);
        }
        Self(leaves)
    }

    /// What `GET /latest/PATH` shows: a leaf, or the listing of a folder with `/` behind the names of folders. Notation of the user data: base64.
    pub(crate) fn get(&self, path: &str) -> Option<String> {
        let wanted = path.trim_matches('/');
        if let Some(leaf) = self.0.get(wanted) {
            return Some(leaf.clone());
        }
        let folder = if wanted.is_empty() {
            String::new()
        } else {
            format!("{wanted}/")
        };
        if let Some(own_listing) = self.0.get(&folder) {
            return Some(own_listing.clone());
        }
        let below: Vec<&str> = self
            .0
            .keys()
            .filter_map(|key| key.strip_prefix(&folder))
            .collect();
        let names: BTreeSet<String> = below
            .iter()
            .filter(|rest| !rest.is_empty())
            .map(|rest| match rest.split_once('/') {
                Some((name, _)) => format!("{name}/"),
                None => (*rest).to_owned(),
            })
            .collect();
        (!names.is_empty()).then(|| names.into_iter().collect::<Vec<_>>().join("\n"))
    }
}

fn put_notice(put: &mut impl FnMut(&str, &str), notice: &Notice) {
    let at = seconds(notice.at);
    match notice.action {
        NoticeAction::Terminate | NoticeAction::Stop => {
            let action = if notice.action == NoticeAction::Stop {
                "stop"
            } else {
                "terminate"
            };
            put(
                "meta-data/spot/instance-action",
                &serde_json::json!({"action": action, "time": at}).to_string(),
            );
            if notice.action == NoticeAction::Terminate {
                put("meta-data/spot/termination-time", &at);
            }
        }
        NoticeAction::Rebalance => {
            put(
                "meta-data/events/recommendations/rebalance",
                &serde_json::json!({"noticeTime": at}).to_string(),
            );
        }
        NoticeAction::AutoscalingTerminate => {}
    }
}

fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn info(profile_arn: &str) -> String {
    let value = serde_json::json!({
        "Code": "Success",
        "LastUpdated": seconds(Timestamp::now()),
        "InstanceProfileArn": profile_arn,
        "InstanceProfileId": "AIPALAB0000000000000",
    });
    format!("{value:#}")
}

fn identity(instance: &Instance) -> String {
    let value = serde_json::json!({
        "accountId": instance.account,
        "architecture": "x86_64",
        "availabilityZone": instance.availability_zone,
        "billingProducts": null,
        "devpayProductCodes": null,
        "marketplaceProductCodes": null,
        "imageId": instance.image_id,
        "instanceId": instance.id,
        "instanceType": instance.instance_type,
        "kernelId": null,
        "pendingTime": instance.launch_time,
        "privateIp": instance.private_ip,
        "ramdiskId": null,
        "region": instance.region,
        "version": "2017-09-30",
    });
    format!("{value:#}")
}
