// Code generated from config/openapi.yaml by gen-schema 2.3. DO NOT EDIT.
/* eslint-disable */

export const SCHEMA_VERSION = "2024-03-11";

export interface Paths_Orders_Post_Request {
  "lines": Array<{ "sku": string; "quantity": number }>;
  "email": string;
  "postcode": string;
  "country": string;
  "coupon"?: string;
}

export interface Paths_Orders_Post_Response_201 {
  "orderId": string;
  "totalCents": number;
  "currency": string;
  "status": string;
}

export interface Paths_Accounts_Email_Put_Request {
  "email": string;
}

export interface Paths_Session_Refresh_Post_Response_200 {
  "accessToken": string;
}

export function isPaths_Orders_Post_Request(value: unknown): value is Paths_Orders_Post_Request {
  const v = value as any;
  return !!v && Array.isArray(v["lines"]) && typeof v["email"] === "string" && typeof v["postcode"] === "string" && typeof v["country"] === "string";
}

export function isPaths_Accounts_Email_Put_Request(value: unknown): value is Paths_Accounts_Email_Put_Request {
  const v = value as any;
  return !!v && typeof v["email"] === "string";
}
