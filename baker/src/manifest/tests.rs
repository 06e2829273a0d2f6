#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::events::{Event, Outcome, Stage};
use crate::plan::tests::planned_app;
use crate::provision::Place;

fn manifest() -> (Manifest, Timeline) {
    let plan = planned_app();
    let made = Made {
        baked: Baked {
            image_id: "ami-0fedcba9876543210".into(),
            snapshot_ids: vec!["snap-1".into()],
        },
        instance_type: "t3.medium".into(),
        steps: plan
            .layers
            .iter()
            .flat_map(|layer| layer.steps.iter().map(move |step| (layer, step)))
            .map(|(layer, step)| StepDone {
                place: Place {
                    recipe: layer.recipe.clone(),
                    layer: layer.name.clone(),
                    number: 1,
                    title: step.title.clone(),
                },
                elapsed: Duration::from_millis(1500),
            })
            .collect(),
        packages: BTreeMap::from([("nginx".into(), "1.14.0".into())]),
    };
    let mut timeline = Timeline::default();
    let stage = Stage::Provision;
    timeline.record(Duration::ZERO, &Event::StageStarted { stage });
    let outcome = Outcome::Ok;
    timeline.record(
        Duration::from_secs(30),
        &Event::StageFinished { stage, outcome },
    );
    let start: jiff::Timestamp = "2026-11-23T03:15:09.25Z".parse().unwrap();
    let span = (start, start + jiff::SignedDuration::from_millis(62_500));
    let calls = BTreeMap::from([
        ("ec2:RunInstances".into(), 1),
        ("ec2:DescribeInstances".into(), 12),
    ]);
    (
        Manifest::new(&plan, &made, &timeline, calls, span),
        timeline,
    )
}

#[test]
fn the_json_form_tells_everything_a_pipeline_needs() {
    let (manifest, _) = manifest();
    let json: serde_json::Value = serde_json::from_str(&manifest.to_json()).unwrap();
    assert_eq!(json["schema"], 1);
    assert_eq!(json["image"]["id"], "ami-0fedcba9876543210");
    assert_eq!(json["image"]["snapshot_ids"][0], "snap-1");
    assert_eq!(json["source_image"]["id"], "ami-0123456789abcdef0");
    assert_eq!(json["recipe"]["digest"].as_str().unwrap().len(), 64);
    assert_eq!(json["started"], "2026-11-23T03:15:09Z");
    assert_eq!(json["took_s"], 62.5);
    assert_eq!(json["layers"][0]["steps"][0]["took_s"], 1.5);
    assert_eq!(json["stages"][0]["stage"], "provision");
    assert_eq!(json["stages"][0]["took_s"], 30.0);
    assert_eq!(json["api_calls"]["ec2:DescribeInstances"], 12);
    assert_eq!(json["packages"]["nginx"], "1.14.0");
}

#[test]
fn the_text_form_begins_with_the_image_and_shows_the_time() {
    let (manifest, timeline) = manifest();
    let text = manifest.to_text(&timeline);
    assert!(
        text.starts_with("ami-0fedcba9876543210  app-2026"),
        "{text}"
    );
    assert!(
        text.contains("62.5 s, of which\n  provision    30.0 s  ███"),
        "{text}"
    );
    assert!(
        text.contains("      1.5 s  app/system: apt: nginx"),
        "{text}"
    );
    assert!(text.contains("API calls  13, 0 of them repeated"), "{text}");
    assert!(
        text.lines().all(|line| line.chars().count() <= 120),
        "{text}"
    );
}

#[test]
fn a_file_is_replaced_whole_and_nothing_stays_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new/app.json");
    let (manifest, _) = manifest();
    manifest.write(&path).unwrap();
    fs::write(&path, "old").unwrap();
    manifest.write(&path).unwrap();
    let written = fs::read_to_string(&path).unwrap();
    assert_eq!(written, format!("{}\n", manifest.to_json()));
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o644
    );
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn a_place_that_can_not_be_written_is_told_with_its_path() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let (manifest, _) = manifest();
    let error = manifest.write(&file.join("app.json")).unwrap_err();
    assert!(error.to_string().contains("file/app.json"), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "");
}
