mkdir -p empty tree/one/two tree/three
chmod 750 tree/one
