// Package unclassified keeps the replies that no rule knows, for a person to look at.
package unclassified
