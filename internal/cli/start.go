package cli

import (
	"context"

	"ukai/internal/config"
	"ukai/internal/i18n"
)

// startApp builds the ukai that serve runs.
func startApp(context.Context, *config.Config, serveOptions) (server, error) {
	return nil, i18n.Errorf("cli.serve.unavailable")
}
