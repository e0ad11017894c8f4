// Package survey sums up what the logs of mail servers say: who refused, why, and since when.
package survey
