for mode in 000 111 400 600 640 664 755 777 1777 2755 4711; do
    echo $mode > f$mode
    chmod $mode f$mode
done
echo s > setuid
chmod 4755 setuid
mkdir secret sticky group
echo inner > secret/inner
chmod 700 secret
chmod 1777 sticky
chmod 2775 group
