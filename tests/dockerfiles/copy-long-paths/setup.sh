name=$(printf 'n%.0s' $(seq 120))
mkdir -p long/$name/$name
echo long > long/$name/$name/$name
ln -s $name/$name/$name/$name/$name long/link
