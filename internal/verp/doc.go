// Package verp writes a token into a return path, and finds it again in what comes back (variable envelope return paths).
package verp
