//! How does a picture become a preview?
//!
//! Its dimensions are read first: a few bytes can claim to be a billion pixels. Then it is decoded, made smaller, turned as its
//! EXIF data say, and encoded anew: what the preview consists of are pixels, and nothing else of the file.

use std::io::{BufRead, BufReader, Seek};

use image::{
    DynamicImage, ImageDecoder, ImageError, Limits, RgbImage,
    codecs::{
        jpeg::{JpegDecoder, JpegEncoder},
        png::PngDecoder,
        webp::WebPDecoder,
    },
    error::LimitErrorKind,
};

use super::{input::Input, report::Outcome, sniff};

/// The types that have previews.
pub(super) const TYPES: [&str; 3] = ["image/jpeg", "image/png", "image/webp"];
/// The length of a preview's longer side, in pixels: a phone's screen is as wide.
pub(super) const LONGER_SIDE: u32 = 640;
/// How many pixels are decoded: a phone's largest pictures have 50 million.
const MOST_PIXELS: u64 = 64 * 1_000_000;
/// How large a file is: a decoder for JPEG holds it in memory.
const MOST_BYTES: u64 = 128 * 1024 * 1024;
/// How much memory a decoder may take for its pixels: 64 megapixels of three bytes, and a few buffers.
const MOST_MEMORY: u64 = 256 * 1024 * 1024;
/// Where the eye sees no difference any more at this size.
const QUALITY: u8 = 80;

/// Returns the preview of a picture, as a JPEG.
pub(super) fn preview(input: Input) -> Result<Vec<u8>, Outcome> {
    if input.length() > MOST_BYTES {
        return Err(Outcome::TooLarge);
    }
    let mut input = BufReader::new(input);
    let first = input.fill_buf().map_err(|_| Outcome::Unreadable)?;
    let media_type = sniff::media_type(first, "");
    from(media_type, input)
}

/// Returns the preview of what is one of [`TYPES`].
fn from(media_type: &str, input: impl BufRead + Seek) -> Result<Vec<u8>, Outcome> {
    let preview = match media_type {
        "image/jpeg" => upright(JpegDecoder::new(input).map_err(outcome)?),
        "image/png" => upright(PngDecoder::with_limits(input, limits()).map_err(outcome)?),
        "image/webp" => upright(WebPDecoder::new(input).map_err(outcome)?),
        _ => Err(Outcome::Unreadable),
    }?;
    let mut jpeg = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, QUALITY);
    on_white(&preview).write_with_encoder(encoder).map_err(outcome)?;
    Ok(jpeg)
}

fn limits() -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MOST_MEMORY);
    limits
}

/// Decodes a picture and makes it small and upright.
fn upright(mut decoder: impl ImageDecoder) -> Result<DynamicImage, Outcome> {
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels > MOST_PIXELS || decoder.total_bytes() > MOST_MEMORY {
        return Err(Outcome::TooLarge);
    }
    decoder.set_limits(limits()).map_err(outcome)?;
    // What cannot be read of it does not turn the picture.
    let orientation = decoder.orientation().unwrap_or(image::metadata::Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(outcome)?;
    if width.max(height) > LONGER_SIDE {
        picture = picture.thumbnail(LONGER_SIDE, LONGER_SIDE);
    }
    picture.apply_orientation(orientation);
    Ok(picture)
}

/// Returns the picture without transparency: a JPEG has none.
fn on_white(picture: &DynamicImage) -> DynamicImage {
    if !picture.color().has_alpha() {
        return DynamicImage::ImageRgb8(picture.to_rgb8());
    }
    let transparent = picture.to_rgba8();
    let opaque = RgbImage::from_fn(transparent.width(), transparent.height(), |x, y| {
        let [red, green, blue, alpha] = transparent.get_pixel(x, y).0;
        let mix = |colour: u8| {
            let mixed = u16::from(colour) * u16::from(alpha) + 255 * (255 - u16::from(alpha));
            (mixed / 255) as u8
        };
        image::Rgb([red, green, blue].map(mix))
    });
    DynamicImage::ImageRgb8(opaque)
}

fn outcome(error: ImageError) -> Outcome {
    match error {
        ImageError::Limits(error)
            if matches!(error.kind(), LimitErrorKind::DimensionError | LimitErrorKind::InsufficientMemory) =>
        {
            Outcome::TooLarge
        }
        _ => Outcome::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{GenericImageView, ImageFormat, Rgba, RgbaImage};
    use proptest::prelude::*;

    use super::*;

    fn of(bytes: &[u8]) -> Result<Vec<u8>, Outcome> {
        from(sniff::media_type(bytes, ""), Cursor::new(bytes))
    }

    /// A picture whose left half is red, and whose right half is blue and half transparent.
    fn picture(width: u32, height: u32) -> DynamicImage {
        DynamicImage::ImageRgba8(RgbaImage::from_fn(width, height, |x, _| {
            if x < width / 2 { Rgba([255, 0, 0, 255]) } else { Rgba([0, 0, 255, 128]) }
        }))
    }

    fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let picture = if format == ImageFormat::Jpeg { &on_white(picture) } else { picture };
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn decoded(jpeg: &[u8]) -> DynamicImage {
        assert_eq!(sniff::media_type(jpeg, ""), "image/jpeg");
        image::load_from_memory_with_format(jpeg, ImageFormat::Jpeg).unwrap()
    }

    /// Whether a pixel looks like this.
    fn is_near(picture: &DynamicImage, x: u32, y: u32, colour: [u8; 3]) -> bool {
        picture.get_pixel(x, y).0.iter().zip(colour).all(|(found, expected)| found.abs_diff(expected) < 24)
    }

    /// A JPEG with EXIF data that say this orientation.
    fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
        let mut exif =
            b"\xff\xe1\0\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0\0".to_vec();
        exif[29] = orientation;
        [&jpeg[..2], &exif, &jpeg[2..]].concat()
    }

    #[test]
    fn a_preview_fits_into_640_pixels_and_shows_the_picture_on_white() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
            let preview = decoded(&of(&encoded(&picture(1600, 800), format)).unwrap());
            assert_eq!(preview.dimensions(), (640, 320), "{format:?}");
            assert!(is_near(&preview, 100, 100, [255, 0, 0]), "{format:?}");
            assert!(is_near(&preview, 500, 100, [127, 127, 255]), "{format:?}");
        }
    }

    #[test]
    fn a_small_picture_is_not_enlarged() {
        assert_eq!(decoded(&of(&encoded(&picture(30, 20), ImageFormat::Png)).unwrap()).dimensions(), (30, 20));
        assert_eq!(decoded(&of(&encoded(&picture(2, 6400), ImageFormat::Png)).unwrap()).dimensions(), (1, 640));
    }

    #[test]
    fn grey_and_sixteen_bits_become_previews_as_well() {
        let picture = picture(700, 20);
        let pictures = [
            DynamicImage::ImageLuma8(picture.to_luma8()),
            DynamicImage::ImageLumaA16(picture.to_luma_alpha16()),
            DynamicImage::ImageRgba16(picture.to_rgba16()),
        ];
        for picture in pictures {
            assert_eq!(decoded(&of(&encoded(&picture, ImageFormat::Png)).unwrap()).dimensions(), (640, 18));
        }
    }

    #[test]
    fn a_preview_is_upright() {
        let lying = encoded(&picture(1600, 800), ImageFormat::Jpeg);
        // 6: turned to the right by 90 degrees, so what was left is on top. 3: upside down.
        let standing = decoded(&of(&with_orientation(&lying, 6)).unwrap());
        assert_eq!(standing.dimensions(), (320, 640));
        assert!(is_near(&standing, 100, 100, [255, 0, 0]) && is_near(&standing, 100, 600, [127, 127, 255]));
        let upside_down = decoded(&of(&with_orientation(&lying, 3)).unwrap());
        assert!(is_near(&upside_down, 500, 100, [255, 0, 0]));
        assert_eq!(decoded(&of(&with_orientation(&lying, 200)).unwrap()).dimensions(), (640, 320));
    }

    #[test]
    fn a_preview_has_nothing_of_the_file_but_its_pixels() {
        let jpeg = with_orientation(&encoded(&picture(64, 64), ImageFormat::Jpeg), 1);
        let polyglot = [&jpeg, &b"<script>alert(1)</script> %PDF-1.4"[..]].concat();
        let preview = of(&polyglot).unwrap();
        for part in [&b"script"[..], b"Exif", b"%PDF"] {
            assert!(!preview.windows(part.len()).any(|window| window == part));
        }
    }

    /// A PNG that says to be of this size, with hardly any data.
    fn bomb(width: u32, height: u32) -> Vec<u8> {
        let mut png = encoded(&picture(1, 1), ImageFormat::Png);
        png[16..20].copy_from_slice(&width.to_be_bytes());
        png[20..24].copy_from_slice(&height.to_be_bytes());
        let sum = super::super::location::crc(&png[12..29]);
        png[29..33].copy_from_slice(&sum.to_be_bytes());
        png
    }

    #[test]
    fn a_picture_of_too_many_pixels_is_not_decoded() {
        for (width, height) in [(100_000, 100_000), (u32::MAX >> 1, 1), (8001, 8000)] {
            assert_eq!(of(&bomb(width, height)), Err(Outcome::TooLarge), "{width} × {height}");
        }
        assert_eq!(of(&bomb(0, 0)), Err(Outcome::Unreadable));
        // A WebP of 16,383 × 16,383: 14 bits each.
        let mut webp = encoded(&picture(8, 8), ImageFormat::WebP);
        let frame = webp.windows(4).position(|kind| kind == b"VP8L").unwrap();
        webp[frame + 9..frame + 13].copy_from_slice(&[0xfe, 0xbf, 0xff, 0x0f]);
        assert_eq!(of(&webp), Err(Outcome::TooLarge));
        // A JPEG of 65,500 × 65,500: the height and width of its frame.
        let mut jpeg = encoded(&picture(8, 8), ImageFormat::Jpeg);
        let frame = jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
        jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff, 0xdc, 0xff, 0xdc]);
        assert_eq!(of(&jpeg), Err(Outcome::TooLarge));
    }

    #[test]
    fn a_file_that_ends_too_early_makes_a_preview_or_none_and_no_panic() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
            let bytes = encoded(&picture(64, 64), format);
            for length in 0..bytes.len() {
                let _ = of(&bytes[..length]);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn damaged_pictures_make_a_preview_or_none_and_no_panic(
            format in 0_usize..3,
            damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        ) {
            let format = [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP][format];
            let mut bytes = encoded(&picture(32, 32), format);
            for (place, byte) in damage {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            // Where a decoder panics after all, the child ends and nothing else does; none may be known to.
            let _ = of(&bytes);
        }

        #[test]
        fn random_bytes_after_a_signature_are_no_picture(first in 0_usize..3, rest: Vec<u8>) {
            let first = [&b"\xff\xd8\xff"[..], b"\x89PNG\r\n\x1a\n", b"RIFF\x40\0\0\0WEBP"][first];
            prop_assert!(of(&[first, &rest].concat()).is_err());
        }
    }
}
