package config

import (
	"strings"

	"ukai/internal/i18n"
)

// near returns the sentence `Did you mean "..."?`, or "" where nothing is near. It is put into a text as {hint}.
func near(written string, allowed []string) any {
	if word := Nearest(written, allowed); word != "" {
		return i18n.Errorf("config.hint.near", "near", word)
	}
	return ""
}

// Nearest returns the allowed word that was probably meant: at most one slip in three letters, and one more. It returns ""
// where there is none, and where an allowed word was written.
func Nearest(written string, allowed []string) string {
	best, least := "", len([]rune(written))/3+1
	for _, word := range allowed {
		if word == written || written == "" {
			return ""
		}
		if d := distance(strings.ToLower(written), strings.ToLower(word)); d < least || d == least && best == "" {
			best, least = word, d
		}
	}
	return best
}

// distance counts the letters to insert, delete, change or swap with their neighbour to get from a to b (optimal string
// alignment).
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	rows := [3][]int{make([]int, len(t)+1), make([]int, len(t)+1), make([]int, len(t)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := 1; i <= len(s); i++ {
		before, above, row := rows[(i+2)%3], rows[i%3], rows[(i+1)%3] // rows i-2, i-1 and i
		row[0] = i
		for j := 1; j <= len(t); j++ {
			cost := 1
			if s[i-1] == t[j-1] {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return rows[(len(s)+1)%3][len(t)]
}
