// Package suppress remembers recipients that do not exist.
package suppress
