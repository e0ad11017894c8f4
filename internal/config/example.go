package config

import (
	_ "embed"

	"ukai/internal/i18n"
)

//go:embed example.en.toml
var exampleEN []byte

//go:embed example.ja.toml
var exampleJA []byte

// Example returns a file of settings that explains itself: every key, with its unit, its default and when to touch it. As it
// stands it sets nothing but the defaults.
func Example(l i18n.Lang) []byte {
	if l == i18n.JA {
		return exampleJA
	}
	return exampleEN
}
