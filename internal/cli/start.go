package cli

import (
	"context"

	"ukai/internal/app"
	"ukai/internal/config"
)

// startApp builds the ukai that serve runs.
func startApp(ctx context.Context, c *config.Config, o serveOptions) (server, error) {
	a, err := app.New(ctx, c, app.Options{Log: o.Log, Version: o.Version, Inherited: o.Inherited, Notifier: o.Notifier})
	if err != nil {
		return nil, err
	}
	return a, nil
}
