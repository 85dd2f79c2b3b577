package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	cri "k8s.io/cri-client/pkg"
	"k8s.io/klog/v2"
)

const runtimeTimeout = 2 * time.Minute

// removeSandboxes ends and removes every pod that the container runtime at os.Args[1] knows, through the interface that
// kubelet uses, so that its network, mounts and processes go with it.
func removeSandboxes() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: kube remove-sandboxes unix:///path/of/containerd.sock")
		os.Exit(2)
	}
	if err := removeSandboxesAt(context.Background(), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "remove-sandboxes:", err)
		os.Exit(1)
	}
}

func removeSandboxesAt(ctx context.Context, endpoint string) error {
	logger := klog.Background()
	runtime, err := cri.NewRemoteRuntimeService(endpoint, runtimeTimeout, nil, &logger)
	if err != nil {
		return err
	}
	sandboxes, err := runtime.ListPodSandbox(ctx, nil)
	if err != nil {
		return err
	}
	failures := make(chan error, len(sandboxes))
	for _, sandbox := range sandboxes {
		go func() {
			err := runtime.StopPodSandbox(ctx, sandbox.Id)
			failures <- errors.Join(err, runtime.RemovePodSandbox(ctx, sandbox.Id))
		}()
	}
	for range sandboxes {
		err = errors.Join(err, <-failures)
	}
	return err
}
