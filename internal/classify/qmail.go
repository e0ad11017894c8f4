package classify

import "strings"

// fromQmail undoes what qmail-send does to the words of a delivery before it logs them ("delivery 42: failure: Sorry,_no_..."):
// blanks are underscores there, ends of lines are slashes (qmail-send.c, and qmail-log(5)). A slash within the words may be part
// of a URL, so only those are ends of lines that stand at the end, or where a report begins. Any other text is returned as it is.
func fromQmail(s string) string {
	i := strings.Index(s, "delivery ")
	if i < 0 {
		return s
	}
	for _, how := range [...]string{": failure: ", ": deferral: "} {
		head, words, found := strings.Cut(s[i:], how)
		if !found || strings.ContainsAny(strings.TrimSpace(words), " \t\n") || !strings.Contains(words, "_") {
			continue
		}
		words = strings.TrimSuffix(strings.TrimSpace(words), "/")
		words = strings.NewReplacer("/Remote_host_said:", " Remote_host_said:", "/Giving_up", " Giving_up", "/STARTTLS", " STARTTLS", "./I'm_not", ". I'm_not").Replace(words)
		return s[:i] + head + how + strings.ReplaceAll(words, "_", " ")
	}
	return s
}
