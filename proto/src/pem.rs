//! What is wrong with PEM texts (RFC 7468), in words without any of them: they hold keys.

/// The longest label that is shown, in bytes.
const LONGEST_LABEL: usize = 31;

/// What is wrong with a PEM text that a library does not read.
pub fn pem_fault(text: &[u8]) -> &'static str {
    const LINES: &str = "BEGIN and END must be on lines of their own";
    let text = String::from_utf8_lossy(text);
    let has = |part: &str| text.contains(part);
    let is_marker = |line: &str, word: &str| {
        let label = line.trim_end().strip_prefix(word);
        let label = label.and_then(|rest| rest.strip_suffix("-----"));
        label.is_some_and(is_pem_label)
    };
    let alone = |word: &str| {
        text.split(['\n', '\r'])
            .filter(|line| is_marker(line, word))
            .count()
    };
    let (begins, ends) = (alone("-----BEGIN "), alone("-----END "));
    if has("\\n") && has("-----BEGIN") {
        "its line breaks are written as \\n: BEGIN and END must be on lines of their own"
    } else if begins < text.matches("-----BEGIN").count() || ends < text.matches("-----END").count()
    {
        LINES
    } else if begins > ends {
        "a block has no line with END: the file is not whole"
    } else if has("-----BEGIN") {
        "what is between BEGIN and END is not base64: the file is damaged"
    } else {
        "there is no PEM block in it"
    }
}

/// True for what stands between the dashes of a marker, such as `RSA PRIVATE KEY`.
pub fn is_pem_label(label: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ';
    label.len() <= LONGEST_LABEL && label.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_pem_text() {
        let good = "-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----\n";
        for (text, part) in [
            (good.replace('\n', ""), "lines of their own"),
            (good.replace('\n', " "), "lines of their own"),
            (good.replace('\n', "\\n"), "written as \\n"),
            (good.replacen('\n', " ", 1), "lines of their own"),
            (good.replace("-----END PRIVATE KEY-----\n", ""), "not whole"),
            (good.replace("MIGH", "M!GH"), "not base64"),
            ("secret".to_owned(), "no PEM block"),
        ] {
            let fault = pem_fault(text.as_bytes());
            assert!(fault.contains(part), "{text}: {fault}");
        }
    }
}
