package main

import (
	"context"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"headrace.dev/tests/cluster/node/kube/netpol"
)

func newNetpolCommand() *cobra.Command {
	command := &cobra.Command{Use: "netpol", Short: "Put NetworkPolicies into force on this node.", SilenceUsage: true}
	kubeconfig := command.Flags().String("kubeconfig", "", "whom to ask, and as whom")
	command.RunE = func(*cobra.Command, []string) error {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		return netpol.Run(ctx, *kubeconfig)
	}
	return command
}
