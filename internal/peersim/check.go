package peersim

// CheckRule returns what is wrong with a rule, as SetRules would, or nil.
func CheckRule(r Rule) error {
	return (&rule{Rule: r}).check()
}
