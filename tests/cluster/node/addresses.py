"""The node's addresses: private ranges that exist on this machine only while the cluster does."""

NODE_NAME = "headrace-node"
NODE_DEVICE = "headrace0"
NODE = "10.86.0.1"
PODS = "10.87.0.0/24"
SERVICES = "10.96.0.0/16"
API_SERVICE = "10.96.0.1"
DNS_SERVICE = "10.96.0.10"
CLUSTER_DOMAIN = "cluster.local"

API_SERVER = f"https://{NODE}:6443"
ETCD = "http://127.0.0.1:12379"
ETCD_PEER = "http://127.0.0.1:12380"
KUBELET_HEALTH_PORT = 10248
