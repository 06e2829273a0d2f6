//! The image to start from.

use aws_sdk_ec2::types::{Filter, Image, ImageState};

use super::{FactsError, SourceImage};
use crate::aws::{Aws, Class, Explain};
use crate::recipe::Source;

/// Canonical's AWS account.
pub(super) const CANONICAL: &str = "099720109477";

/// Finds what the recipe asks for.
pub(super) async fn find(aws: &Aws, source: &Source) -> Result<SourceImage, FactsError> {
    let image = match source {
        Source::Ami(id) => by_id(aws, id).await?,
        Source::Ssm(name) => {
            let value = parameters(aws, vec![name.clone()])
                .await?
                .pop()
                .ok_or_else(|| FactsError::NoParameter {
                    name: name.clone(),
                    region: aws.region.clone(),
                })?;
            if !value.starts_with("ami-") {
                return Err(FactsError::NotAnImageId {
                    name: name.clone(),
                    value,
                });
            }
            by_id(aws, &value).await?
        }
        Source::Ubuntu(release) => match ubuntu_by_parameter(aws, release).await? {
            Some(id) => by_id(aws, &id).await?,
            None => {
                newest(ubuntu_by_name(aws, release).await?).ok_or_else(|| FactsError::NoUbuntu {
                    release: release.clone(),
                    region: aws.region.clone(),
                })?
            }
        },
    };
    usable(image)
}

/// Canonical publishes the current image's id, since 23.10 under `ebs-gp3`.
async fn ubuntu_by_parameter(aws: &Aws, release: &str) -> Result<Option<String>, FactsError> {
    let name = |volume: &str| {
        format!(
            "/aws/service/canonical/ubuntu/server/{release}/stable/current/amd64/hvm/ebs-{volume}/ami-id"
        )
    };
    match parameters(aws, vec![name("gp2"), name("gp3")]).await {
        Ok(mut values) => Ok(values.pop()),
        // Without permission for SSM the names of Canonical's images still tell.
        Err(FactsError::Call(error)) if error.class == Class::Unauthorized => Ok(None),
        Err(other) => Err(other),
    }
}

/// The values of those parameters that exist.
async fn parameters(aws: &Aws, names: Vec<String>) -> Result<Vec<String>, FactsError> {
    let answer = aws
        .ssm
        .get_parameters()
        .set_names(Some(names))
        .send()
        .await
        .explain("ssm:GetParameters")?;
    Ok(answer
        .parameters
        .unwrap_or_default()
        .into_iter()
        .filter_map(|parameter| parameter.value)
        .collect())
}

async fn ubuntu_by_name(aws: &Aws, release: &str) -> Result<Vec<Image>, FactsError> {
    let filter = |name: &str, value: &str| Filter::builder().name(name).values(value).build();
    let answer = aws
        .ec2
        .describe_images()
        .owners(CANONICAL)
        // Past standard support nearly every serial is deprecated, and hidden without this.
        .include_deprecated(true)
        .filters(filter(
            "name",
            &format!("ubuntu/images/hvm-ssd*/ubuntu-*-{release}-amd64-server-*"),
        ))
        .filters(filter("state", "available"))
        .send()
        .await
        .explain("ec2:DescribeImages")?;
    Ok(answer.images.unwrap_or_default())
}

/// By creation date, which is ISO 8601 and so sorts as text.
fn newest(images: Vec<Image>) -> Option<Image> {
    images
        .into_iter()
        .max_by(|one, other| one.creation_date().cmp(&other.creation_date()))
}

async fn by_id(aws: &Aws, id: &str) -> Result<Image, FactsError> {
    let none = || FactsError::NoImage {
        id: id.to_owned(),
        region: aws.region.clone(),
    };
    let answer = aws
        .ec2
        .describe_images()
        .image_ids(id)
        .include_deprecated(true)
        .send()
        .await
        .explain("ec2:DescribeImages");
    match answer {
        Ok(answer) => answer
            .images
            .unwrap_or_default()
            .into_iter()
            .next()
            .ok_or_else(none),
        // An id that is not even one (`InvalidAMIID.Malformed`) is none either.
        Err(error)
            if error.class == Class::NotFound
                || error.code.as_deref() == Some("InvalidAMIID.Malformed") =>
        {
            Err(none())
        }
        Err(error) => Err(error.into()),
    }
}

/// What the plan needs of an image; an error when it cannot be baked from.
fn usable(image: Image) -> Result<SourceImage, FactsError> {
    let id = image.image_id.unwrap_or_default();
    let unusable = |why: String| FactsError::UnusableImage {
        id: id.clone(),
        why,
    };
    if let Some(state) = image.state.filter(|state| *state != ImageState::Available) {
        return Err(unusable(format!("is {}", state.as_str())));
    }
    let root = image
        .root_device_name
        .ok_or_else(|| unusable("names no root device".into()))?;
    let size_gib = image
        .block_device_mappings
        .unwrap_or_default()
        .iter()
        .find(|mapping| mapping.device_name() == Some(&root))
        .and_then(|mapping| mapping.ebs()?.volume_size())
        .and_then(|gib| u32::try_from(gib).ok())
        .ok_or_else(|| unusable("has no EBS root volume".into()))?;
    Ok(SourceImage {
        name: image.name.unwrap_or_else(|| id.clone()),
        architecture: image.architecture.map_or_else(
            || "x86_64".to_owned(),
            |architecture| architecture.as_str().to_owned(),
        ),
        root_device_name: root,
        root_size_gib: size_gib,
        id,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use aws_sdk_ec2::types::{BlockDeviceMapping, EbsBlockDevice};

    fn image(id: &str, created: &str) -> Image {
        Image::builder()
            .image_id(id)
            .name("ubuntu")
            .creation_date(created)
            .state(ImageState::Available)
            .root_device_name("/dev/sda1")
            .block_device_mappings(
                BlockDeviceMapping::builder()
                    .device_name("/dev/sda1")
                    .ebs(EbsBlockDevice::builder().volume_size(8).build())
                    .build(),
            )
            .build()
    }

    #[test]
    fn the_newest_image_wins_whatever_the_order() {
        let images = vec![
            image("ami-1", "2023-05-31T07:22:10.000Z"),
            image("ami-2", "2023-06-07T08:00:00.000Z"),
            image("ami-3", "2019-01-01T00:00:00.000Z"),
        ];
        assert_eq!(newest(images).unwrap().image_id(), Some("ami-2"));
        assert!(newest(Vec::new()).is_none());
    }

    #[test]
    fn an_image_without_an_ebs_root_is_refused_with_the_reason() {
        let mut bare = image("ami-1", "2023-05-31T07:22:10.000Z");
        bare.block_device_mappings = None;
        assert_eq!(
            usable(bare).unwrap_err().to_string(),
            "the source image ami-1 has no EBS root volume; name another one"
        );
        let mut failed = image("ami-1", "2023-05-31T07:22:10.000Z");
        failed.state = Some(ImageState::Failed);
        assert_eq!(
            usable(failed).unwrap_err().to_string(),
            "the source image ami-1 is failed; name another one"
        );
    }
}
