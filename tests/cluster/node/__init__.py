"""A real Kubernetes on this machine for tests: upstream's components, no virtual machine, no registry, no cloud.

`make cluster-up` builds what is missing (programs.py, standins.py), then starts etcd, the control plane, containerd, kubelet,
kube-proxy and the enforcement of NetworkPolicies as processes of this machine (components.py, daemons.py). Pods are routed
through a pair of veths each (configs.cni), and everything the node changes in the machine's network is a device and four
nftables tables (network.py). `make cluster-down` removes all of it; a crash at any moment leaves nothing that it does not find.

Programs, images and downloads are kept in ~/.cache/headrace/cluster (HEADRACE_CLUSTER_HOME); a cluster's own state is thrown
away with it. The Go module in kube/ links the components into one program, and holds the one thing that is the project's own:
netpol, which puts NetworkPolicies into force.
"""
