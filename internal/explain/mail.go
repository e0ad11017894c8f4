package explain

// Mail says what a mail means: for a delivery report one Finding for each recipient that it tells of, at least one in any case.
func (e *Explainer) Mail(b []byte) []Finding {
	return []Finding{e.text(Report, "", string(b))}
}
