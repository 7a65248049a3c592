# The status pages: a private bucket, and CloudFront before it with `page_by_cloudfront`.
resource "aws_s3_bucket" "pages" {
  # checkov:skip=CKV_AWS_18:A log of readers needs a second bucket, and pages have no records.
  # checkov:skip=CKV_AWS_21:Pages are made again within five minutes, reports by `syncwatch report`; the audit log has the history.
  # checkov:skip=CKV_AWS_144:For the same reason.
  # checkov:skip=CKV_AWS_145:A key of KMS would be asked, and paid, at each reading.
  # checkov:skip=CKV2_AWS_62:No function waits for a new page.
  for_each = local.buckets

  bucket = each.value
  # Pages are made again within five minutes, reports by `syncwatch report`.
  force_destroy = true
}

resource "aws_s3_bucket_public_access_block" "pages" {
  for_each = local.buckets

  bucket                  = aws_s3_bucket.pages[each.key].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "pages" {
  for_each = local.buckets

  bucket = aws_s3_bucket.pages[each.key].id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "pages" {
  for_each = local.buckets

  bucket = aws_s3_bucket.pages[each.key].id
  rule {
    id     = "old"
    status = "Enabled"
    filter {}
    # Reports are kept as long as the records of their sending. A page that nothing renews says so by its time.
    expiration {
      days = 400
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

resource "aws_s3_bucket_policy" "pages" {
  for_each = local.buckets

  bucket = aws_s3_bucket.pages[each.key].id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.bucket_statements[each.key] })

  # Otherwise S3 may refuse the one while it applies the other.
  depends_on = [aws_s3_bucket_public_access_block.pages]
}

locals {
  bucket_statements = { for id, name in local.buckets : id => concat(
    [
      {
        Sid       = "OnlyEncryptedConnections"
        Effect    = "Deny"
        Action    = ["s3:*"]
        Principal = "*"
        Resource  = ["${local.arn_root}:s3:::${name}", "${local.arn_root}:s3:::${name}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "NoOldTls"
        Effect    = "Deny"
        Action    = ["s3:*"]
        Principal = "*"
        Resource  = ["${local.arn_root}:s3:::${name}", "${local.arn_root}:s3:::${name}/*"]
        Condition = { NumericLessThan = { "s3:TlsVersion" = "1.2" } }
      },
    ],
    # The figures beside the page are not part of it.
    [for distribution in aws_cloudfront_distribution.pages : {
      Sid       = "ByCloudFront"
      Effect    = "Allow"
      Action    = ["s3:GetObject"]
      Principal = { Service = "cloudfront.amazonaws.com" }
      Resource  = [for file in ["index.html", "live.html", "status.json", "badge.svg", "incidents.atom", "reports/*.html"] : "${local.arn_root}:s3:::${name}/*/${file}"]
      Condition = { StringEquals = { "AWS:SourceArn" = distribution.arn } }
    }],
  ) }
}

resource "aws_cloudfront_origin_access_control" "pages" {
  count = var.page_by_cloudfront ? 1 : 0

  name                              = "${local.prefix}-pages"
  description                       = "Reads the status pages of Syncwatch"
  origin_access_control_origin_type = "s3"
  signing_behavior                  = "always"
  signing_protocol                  = "sigv4"
}

resource "aws_cloudfront_distribution" "pages" {
  # checkov:skip=CKV2_AWS_32:It has AWS's managed policy, by its id.
  # checkov:skip=CKV2_AWS_42:A certificate of its own needs a domain of the company.
  # checkov:skip=CKV2_AWS_47:The web ACL is the company's, page_web_acl_arn; behind the distribution are static files.
  count = var.page_by_cloudfront ? 1 : 0

  comment         = "Status pages of Syncwatch"
  enabled         = true
  is_ipv6_enabled = true
  price_class     = "PriceClass_100"
  web_acl_id      = var.page_web_acl_arn

  origin {
    origin_id                = "pages"
    domain_name              = aws_s3_bucket.pages["bucket:pages"].bucket_regional_domain_name
    origin_access_control_id = aws_cloudfront_origin_access_control.pages[0].id
  }

  default_cache_behavior {
    target_origin_id       = "pages"
    viewer_protocol_policy = "redirect-to-https"
    allowed_methods        = ["GET", "HEAD"]
    cached_methods         = ["GET", "HEAD"]
    compress               = true
    # AWS's managed policies "CachingOptimized", which follows the files' own max-age, and "SecurityHeadersPolicy".
    cache_policy_id            = "658327ea-f89d-4fab-a63d-7e88639e58f6"
    response_headers_policy_id = "67f7725c-6f97-4210-82d7-5512b31e9d03"
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }

  viewer_certificate {
    cloudfront_default_certificate = true
  }
}
