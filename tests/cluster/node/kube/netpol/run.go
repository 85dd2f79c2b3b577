package netpol

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

// Changes that come within this time of each other are put into force together.
const settle = 50 * time.Millisecond

// Run keeps the node's table equal to the API server's policies until the context ends. The table then stays as it is.
func Run(ctx context.Context, kubeconfig string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	changed := make(chan struct{}, 1)
	read, err := watch(factory, changed)
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	return enforce(ctx, read, changed)
}

// watch asks for everything a State holds; the channel has an element whenever some of it changed since it was last read.
func watch(factory informers.SharedInformerFactory, changed chan<- struct{}) (func() (*State, error), error) {
	policies := factory.Networking().V1().NetworkPolicies()
	pods := factory.Core().V1().Pods()
	namespaces := factory.Core().V1().Namespaces()
	note := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { note() },
		UpdateFunc: func(any, any) { note() },
		DeleteFunc: func(any) { note() },
	}
	for _, informer := range []cache.SharedIndexInformer{policies.Informer(), pods.Informer(), namespaces.Informer()} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return nil, err
		}
	}
	return func() (*State, error) {
		state := State{}
		var err error
		if state.Policies, err = policies.Lister().List(labels.Everything()); err != nil {
			return nil, err
		}
		if state.Pods, err = pods.Lister().List(labels.Everything()); err != nil {
			return nil, err
		}
		state.Namespaces, err = namespaces.Lister().List(labels.Everything())
		return &state, err
	}, nil
}

func enforce(ctx context.Context, read func() (*State, error), changed <-chan struct{}) error {
	inForce := ""
	for {
		state, err := read()
		if err != nil {
			return err
		}
		if script := state.Table(); script != inForce {
			if err := load(ctx, script); err != nil {
				return err
			}
			inForce = script
			klog.InfoS("Policies are in force", "policies", len(state.Policies), "pods", len(state.Pods))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			time.Sleep(settle)
		}
	}
}

func load(ctx context.Context, script string) error {
	command := exec.CommandContext(ctx, "nft", "-f", "-")
	command.Stdin = strings.NewReader(script)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("nft refused the table: %w: %s\n%s", err, output, script)
	}
	return nil
}
