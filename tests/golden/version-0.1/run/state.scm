((format . 1)
 (state . finished)
 (seconds . 1.049381855)
 (error . #f)
 (result (loss . 0.25) (n . 4))
 (metrics-crc32 . 3638948626))
; crc32 d0f43fe9
