//! Labelled images in the files of MNIST and of the sets that copy its format.
//!
//! A folder has `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
//! `t10k-labels-idx1-ubyte`, each plain or with `.gz` behind its name.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use flate2::read::MultiGzDecoder;
use node::learn::LabelledSet;

use crate::idx;

/// The most that a file may hold, unpacked: more than any set of this format has.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// A set to train on, and one to measure with.
#[derive(Clone, Debug)]
pub struct Images {
    /// What nodes share.
    pub training: LabelledSet,
    /// What none of them has.
    pub test: LabelledSet,
}

/// Reads the images of a folder, whose classes are so many. Values are scaled from 0 to 1.
///
/// # Errors
///
/// Names the file, and the place in it.
pub fn read(dir: &Path, classes: u32) -> Result<Images> {
    Ok(Images { training: set(dir, "train", classes)?, test: set(dir, "t10k", classes)? })
}

fn set(dir: &Path, part: &str, classes: u32) -> Result<LabelledSet> {
    let (pixels, name) = file(dir, &format!("{part}-images-idx3-ubyte"))?;
    let images = idx::parse(&pixels, 3).context(name.clone())?;
    let (bytes, labels_name) = file(dir, &format!("{part}-labels-idx1-ubyte"))?;
    let labels = idx::parse(&bytes, 1).context(labels_name.clone())?;
    ensure!(
        images.sides[0] == labels.sides[0],
        "{name} has {} images, and {labels_name} has {} labels",
        images.sides[0],
        labels.sides[0]
    );
    let inputs = images.sides[1]
        .checked_mul(images.sides[2])
        .with_context(|| format!("{name}: its images are too large"))?;
    let values = images.values.iter().map(|pixel| f32::from(*pixel) / 255.0).collect();
    let labels = labels.values.iter().map(|label| u32::from(*label)).collect();
    LabelledSet::new(inputs, classes, values, labels).context(labels_name)
}

/// The bytes of a file, unpacked, and its name.
fn file(dir: &Path, name: &str) -> Result<(Vec<u8>, String)> {
    let packed = dir.join(format!("{name}.gz"));
    let path = if packed.exists() { packed } else { dir.join(name) };
    let shown = path.display().to_string();
    let open = || -> std::io::Result<Vec<u8>> {
        let input = File::open(&path)?;
        let mut bytes = Vec::new();
        if path.extension().is_some_and(|ending| ending == "gz") {
            MultiGzDecoder::new(input).take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        } else {
            input.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    };
    let bytes = open().context(shown.clone())?;
    ensure!(bytes.len() as u64 <= FILE_BYTES_MAX, "{shown}: it holds more than {FILE_BYTES_MAX} bytes");
    Ok((bytes, shown))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    /// Files of two images of 1 x 2 pixels.
    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for part in ["train", "t10k"] {
            let images = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 51, 102, 255];
            fs::write(dir.path().join(format!("{part}-images-idx3-ubyte")), images).unwrap();
            let labels = File::create(dir.path().join(format!("{part}-labels-idx1-ubyte.gz"))).unwrap();
            let mut packer = flate2::write::GzEncoder::new(labels, flate2::Compression::fast());
            packer.write_all(&[0, 0, 8, 1, 0, 0, 0, 2, 3, 1]).unwrap();
            packer.finish().unwrap();
        }
        dir
    }

    #[test]
    fn images_are_read_plain_and_packed_and_scaled() {
        let images = read(folder().path(), 4).unwrap();
        assert_eq!((images.training.inputs(), images.training.labels()), (2, &[3, 1][..]));
        let test = std::sync::Arc::new(images.test).whole();
        assert_eq!([test.input(0), test.input(1)], [&[0.0, 0.2], &[0.4, 1.0]]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_file() {
        let complaint = |change: fn(&Path), classes| {
            let dir = folder();
            change(dir.path());
            format!("{:#}", read(dir.path(), classes).unwrap_err())
                .replace(&dir.path().display().to_string(), "DIR")
        };
        let train = "train-images-idx3-ubyte";
        let cut = complaint(|dir| fs::write(dir.join("train-images-idx3-ubyte"), [0, 0, 8]).unwrap(), 4);
        assert_eq!(cut, format!("DIR/{train}: at byte 3: it is cut short"));
        let gone = complaint(|dir| fs::remove_file(dir.join("train-images-idx3-ubyte")).unwrap(), 4);
        assert!(gone.starts_with(&format!("DIR/{train}: No such file")), "{gone}");
        let fewer = complaint(
            |dir| {
                let images = [0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 51];
                fs::write(dir.join("train-images-idx3-ubyte"), images).unwrap();
            },
            4,
        );
        assert_eq!(
            fewer,
            format!("DIR/{train} has 1 images, and DIR/train-labels-idx1-ubyte.gz has 2 labels")
        );
        let class = complaint(|_| (), 3);
        assert_eq!(class, "DIR/train-labels-idx1-ubyte.gz: example 0 is of class 3, and there are 3");
        let packed =
            complaint(|dir| fs::write(dir.join("train-labels-idx1-ubyte.gz"), b"no gzip").unwrap(), 4);
        assert!(packed.starts_with("DIR/train-labels-idx1-ubyte.gz: "), "{packed}");
    }
}
