//! DER (X.690) as far as a certificate needs it: one element after the other. Bounded by the text.

/// The elements of a DER text. Ends at the first that is none.
#[derive(Debug, Clone)]
pub struct Elements<'a>(pub &'a [u8]);

/// One element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element<'a> {
    /// What kind it is.
    pub tag: u8,
    /// What is in it.
    pub content: &'a [u8],
    /// With tag and length.
    pub whole: &'a [u8],
}

impl<'a> Element<'a> {
    /// What is in it, as elements.
    pub fn elements(self) -> Elements<'a> {
        Elements(self.content)
    }
}

impl<'a> Elements<'a> {
    /// The next element, if it has this tag.
    pub fn next_of(&mut self, tag: u8) -> Option<Element<'a>> {
        let (element, rest) = split(self.0).filter(|(element, _)| element.tag == tag)?;
        self.0 = rest;
        Some(element)
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let (element, rest) = split(self.0)?;
        self.0 = rest;
        Some(element)
    }
}

fn split(text: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&tag, rest) = text.split_first()?;
    let (&first, rest) = rest.split_first()?;
    // The indefinite length is none of DER's.
    if first == 0x80 {
        return None;
    }
    let long = usize::from(first.saturating_sub(0x80));
    // Four bytes tell more than any file here has.
    let digits = rest.get(..long).filter(|digits| digits.len() <= 4)?;
    let length = match long {
        0 => usize::from(first),
        _ => digits
            .iter()
            .fold(0, |length, &digit| length << 8 | usize::from(digit)),
    };
    let content = rest.get(long..)?.get(..length)?;
    let size = text.len() - rest.len() + long + length;
    let (whole, rest) = text.split_at(size);
    Some((
        Element {
            tag,
            content,
            whole,
        },
        rest,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_to_the_first_that_is_none() {
        let text = [2, 1, 7, 4, 0x81, 2, 8, 9, 5, 9];
        let mut elements = Elements(&text);
        let number = elements.next_of(2).unwrap();
        assert_eq!((number.content, number.whole), (&[7][..], &[2, 1, 7][..]));
        assert!(elements.clone().next_of(2).is_none());
        assert_eq!(elements.next().unwrap().content, [8, 9]);
        assert_eq!(elements.next(), None, "longer than the text");
        for text in [
            &[0x30][..],
            &[0x30, 0x85, 1, 1, 1, 1, 1],
            &[0x30, 0x80, 0, 0],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert_eq!(Elements(text).next(), None);
        }
    }
}
